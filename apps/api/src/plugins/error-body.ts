import { ERROR_CODES } from '@tarfleet/contracts';
import { type Static, Type } from 'typebox';

/** The one shape of every error. */
export const ErrorBody = Type.Object(
  {
    success: Type.Literal(false),
    code: Type.Enum([...ERROR_CODES]),
    error: Type.String({ description: 'Reason phrase of the HTTP status' }),
    message: Type.String({ description: 'What is wrong and what to do about it' }),
    details: Type.Optional(Type.Unknown({ description: 'Facts; of bad input a list of {path, message}' })),
  },
  { $id: 'Error', additionalProperties: false },
);
export type ErrorBody = Static<typeof ErrorBody>;
