import type { KeyObject } from 'node:crypto';
import { type JobKind, PLAN_VERSION, type PlanOf } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { parsePlan } from './plan-parsers.ts';
import { PLAN_TYPE } from './plan-signer.ts';
import { importPublic } from './raw-keys.ts';
import type { SigningPublicKey } from './types.ts';

/** What the queue said of the job. */
export interface PlanExpectation<K extends JobKind> {
  jobId: string;
  pool: string;
  kind: K;
}

export interface PlanReader {
  /**
   * The plan inside a signed token. PLAN_EXPIRED; PLAN_VERSION_UNKNOWN; PLAN_INVALID when the signature is not
   * of a known key, when the plan is for another job, pool or kind than the queue said, or does not fit its schema.
   */
  read<K extends JobKind>(token: string, expect: PlanExpectation<K>): Promise<PlanOf<K>>;
}

export function createPlanReader(options: { publicKeys: readonly SigningPublicKey[] }): PlanReader {
  const keys = new Map<string, KeyObject>(
    options.publicKeys.map((key) => [key.keyId, importPublic('Ed25519', key.publicKey)]),
  );
  return {
    async read(token, expect) {
      const claims = await verify(token, keys);
      const plan = claims.plan as { v?: unknown } | null | undefined;
      if (typeof plan?.v === 'number' && plan.v !== PLAN_VERSION) {
        throw new AppError(
          'PLAN_VERSION_UNKNOWN',
          `The plan is of version ${plan.v}; this worker understands version ${PLAN_VERSION}. Run workers and API of the same release.`,
        );
      }
      agree('job', expect.jobId, claims.jti);
      agree('pool', expect.pool, claims.aud);
      agree('kind', expect.kind, claims.kind);
      const parsed = parsePlan(expect.kind, plan);
      if (!parsed.ok) throw invalid(`it does not fit its schema: ${parsed.faults.join('; ')}`);
      agree('job', expect.jobId, parsed.value.jobId);
      agree('pool', expect.pool, parsed.value.pool);
      return parsed.value as PlanOf<typeof expect.kind>;
    },
  };
}

async function verify(token: string, keys: Map<string, KeyObject>): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(
      token,
      (header) => {
        const key = keys.get(header.kid ?? '');
        if (!key)
          throw invalid(`it is signed with key ${header.kid ?? '(none)'}, which this worker does not know`);
        return key;
      },
      { algorithms: ['EdDSA'], typ: PLAN_TYPE, requiredClaims: ['jti', 'aud', 'iat', 'exp', 'kind', 'plan'] },
    );
    return payload;
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    if (cause instanceof errors.JWTExpired) {
      throw new AppError(
        'PLAN_EXPIRED',
        'The plan has expired: the job waited too long for a worker, or the clocks of API and worker differ. Submit it again.',
        { cause },
      );
    }
    const reason = cause instanceof errors.JOSEError ? cause.code : 'it is not a signed token';
    throw invalid(`it does not verify (${reason})`, cause);
  }
}

function agree(what: string, expected: string, found: unknown): void {
  if (found === expected) return;
  throw invalid(`it is for ${what} ${String(found)}, but the queue gave it as ${what} ${expected}`);
}

function invalid(reason: string, cause?: unknown): AppError {
  return new AppError('PLAN_INVALID', `The plan is refused: ${reason}.`, { cause });
}
