import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Logger } from '@tarfleet/kernel';
import type {
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';

/** The server as routes and plugins see it: typebox schemas give the types of params, query and body. */
export type Api = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  Logger,
  TypeBoxTypeProvider
>;
