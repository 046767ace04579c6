import { Prisma } from './generated/client.ts';

/** A value for a JSON column. It must be plain JSON: the caller's schemas have seen to that. */
export function toJson(value: unknown): Prisma.InputJsonValue {
  return value as Prisma.InputJsonValue;
}

/** The same for a column that may be null. */
export function toJsonOrNull(value: unknown): Prisma.InputJsonValue | typeof Prisma.DbNull {
  return value === null || value === undefined ? Prisma.DbNull : toJson(value);
}
