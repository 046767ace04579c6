export { assertWithinRoots } from './assert-within-roots.ts';
export { createTransport, type TransportOptions } from './create-transport.ts';
export * from './types.ts';
