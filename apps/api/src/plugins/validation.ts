import { Ajv, type Options, type ValidateFunction } from 'ajv';
import type { Static, TSchema } from 'typebox';
import type { Api } from '../api-type.ts';
import { ErrorBody } from './error-body.ts';
import { invalid, toFaults } from './faults.ts';

const COMMON: Options = {
  allErrors: true,
  // Faults are told with the schema's own description; values never leave this place.
  verbose: true,
  removeAdditional: false,
  useDefaults: true,
  discriminator: true,
  strict: true,
  strictTypes: false,
  strictRequired: false,
};

export interface ValidationOptions {
  /** Compare each answer with its documented schema and fail on a difference. For tests: it costs time. */
  checkResponses: boolean;
}

/** Holds a body that was put into another form to that form's schema; VALIDATION_FAILED names every fault. */
export function createBodyReader<S extends TSchema>(schema: S): (body: unknown) => Static<S> {
  const check = new Ajv({ ...COMMON, useDefaults: false, coerceTypes: false }).compile(schema);
  return (body) => {
    if (check(body)) return body as Static<S>;
    throw invalid(toFaults('body', check.errors ?? []));
  };
}

/**
 * Requests are checked as they are: a misspelled field is a fault, and only what comes as text anyway (path and
 * query) is converted. Answers are written as plain JSON, so that what a view gives is what is sent.
 */
export function addValidation(app: Api, options: ValidationOptions): void {
  const exact = new Ajv({ ...COMMON, coerceTypes: false });
  const text = new Ajv({ ...COMMON, coerceTypes: true });
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) =>
    httpPart === 'body' ? exact.compile(schema) : text.compile(schema),
  );
  if (!options.checkResponses) {
    app.setSerializerCompiler(() => (data) => JSON.stringify(data));
    return;
  }
  const answers = new Ajv({ ...COMMON, useDefaults: false, schemas: [ErrorBody] });
  app.setSerializerCompiler<TSchema>(({ schema, method, url, httpStatus }) => {
    let check: ValidateFunction | undefined;
    return (data) => {
      // Only those that are met: compiling all of them takes a second for each app.
      check ??= answers.compile(schema);
      const body = JSON.stringify(data);
      if (!check(JSON.parse(body))) {
        const faults = answers.errorsText(check.errors, { dataVar: 'answer' });
        throw new Error(`${method} ${url} ${httpStatus}: not as documented: ${faults}`);
      }
      return body;
    };
  });
}
