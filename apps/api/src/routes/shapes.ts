/** Pieces that the schemas of several resources are made of. */
import { ProjectId, Timestamp, Uuid } from '@tarfleet/contracts';
import { type Static, type TObject, type TProperties, type TSchema, Type } from 'typebox';

export { ProjectId, Timestamp, Uuid };

export const closed = { additionalProperties: false } as const;

export function strict<P extends TProperties>(properties: P) {
  return Type.Object(properties, closed);
}

/** A schema of one plain type that may also be null, kept to one `type` list so that faults stay short. */
export function nullable<S extends TSchema>(schema: S) {
  const { type, enum: values, ...rest } = schema as { type?: string; enum?: unknown[] };
  return Type.Unsafe<Static<S> | null>({
    ...rest,
    ...(type === undefined ? {} : { type: [type, 'null'] }),
    ...(values === undefined ? {} : { enum: [...values, null] }),
  });
}

/** One of several objects, told apart by one field: a fault is looked for in the right one alone. */
export function oneOf<B extends TObject[]>(tag: string, branches: [...B]) {
  return Type.Unsafe<Static<B[number]>>({
    type: 'object',
    required: [tag],
    discriminator: { propertyName: tag },
    oneOf: branches,
  });
}

/** For routes that take no fields: nothing, or an empty object. */
export const NoBody = Type.Unsafe<Record<string, never> | null>({
  type: ['object', 'null'],
  additionalProperties: false,
});

export const IdParams = strict({ id: Uuid });
export const ProjectParams = strict({ id: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }) });

export const PageQuery = {
  page: Type.Integer({ minimum: 1, maximum: 1_000_000, default: 1 }),
  per_page: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
};

export function one<S extends TSchema>(data: S) {
  return strict({ success: Type.Literal(true), data });
}

export function page<S extends TSchema>(item: S) {
  return strict({
    success: Type.Literal(true),
    data: Type.Array(item),
    total: Type.Integer({ minimum: 0 }),
    page: Type.Integer({ minimum: 1 }),
    per_page: Type.Integer({ minimum: 1 }),
    total_pages: Type.Integer({ minimum: 0 }),
  });
}

export const Deleted = strict({ success: Type.Literal(true), message: Type.String() });

/** A name that people give: one line, not blank, no spaces at the ends. */
export const Name = Type.String({
  minLength: 1,
  maxLength: 100,
  pattern: '^[^\\s\\p{Cc}]([^\\p{Cc}]*[^\\s\\p{Cc}])?$',
  description: 'one line of text without spaces at its ends',
});

/** Deliberately loose: the one proof of an address is a letter to it. */
export const Email = Type.String({
  maxLength: 254,
  pattern: '^[^\\s@\\p{Cc}]+@[^\\s@\\p{Cc}]+$',
  description: 'an e-mail address',
});
