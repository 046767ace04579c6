/**
 * jest runs a test in a realm of its own, whose `Error` is not that of Node's own errors: libraries that ask `instanceof
 * Error` (basic-ftp does) take a refused connection there for an answer. In here they are told what they are told outside.
 */
import { isNativeError } from 'node:util/types';

const ordinary = Function.prototype[Symbol.hasInstance];
Object.defineProperty(Error, Symbol.hasInstance, {
  value(this: unknown, value: unknown) {
    // Classes made from it inherit this.
    return ordinary.call(this as () => void, value) || (this === Error && isNativeError(value));
  },
});
