import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';

export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** Who acts, as every check sees it. */
export interface Actor {
  userId: string;
  email: string;
  /** What may be done: the user's role, or a lower one that an API token caps it to. */
  role: Role;
  /** What may be seen: an administrator's capped token still sees everything. */
  seesAll: boolean;
  via: 'session' | 'cookie' | 'token' | 'external';
  /** Of the session that carries this request. */
  sessionId?: string;
  tokenId?: string;
  tokenName?: string;
}

/** Routes are closed unless they say `public`, so this holds in every other handler. */
export function actorOf(request: FastifyRequest): Actor {
  if (!request.actor) throw new AppError('UNAUTHENTICATED', 'Sign in, or send a token.');
  return request.actor;
}

export function lowerRole(one: Role, other: Role): Role {
  return ROLES.indexOf(one) <= ROLES.indexOf(other) ? one : other;
}

export function reaches(role: Role, wanted: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(wanted);
}
