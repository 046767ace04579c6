import type { Plan } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { SignJWT } from 'jose';
import { parsePlan } from './plan-parsers.ts';
import { importPrivate } from './raw-keys.ts';
import type { SigningKey } from './types.ts';

/** The media type in a signed plan's header: no other token of ours passes for one. */
export const PLAN_TYPE = 'tarfleet-plan+jwt';

export interface PlanSigner {
  /**
   * A compact JWS (RFC 7515, EdDSA) with the plan inside, for the job and pool that it names, valid for `ttlMs`
   * milliseconds from now. A plan that no worker would accept is PLAN_INVALID here already.
   */
  sign(plan: Plan, ttlMs: number): Promise<string>;
}

export function createPlanSigner(key: SigningKey): PlanSigner {
  const privateKey = importPrivate('Ed25519', key);
  return {
    async sign(plan, ttlMs) {
      const parsed = parsePlan(plan.kind, plan);
      if (!parsed.ok) {
        throw new AppError('PLAN_INVALID', `The plan does not fit its schema: ${parsed.faults.join('; ')}.`);
      }
      const now = Date.now();
      return new SignJWT({ kind: plan.kind, plan })
        .setProtectedHeader({ alg: 'EdDSA', kid: key.keyId, typ: PLAN_TYPE })
        .setJti(plan.jobId)
        .setAudience(plan.pool)
        .setIssuedAt(Math.floor(now / 1000))
        .setExpirationTime(Math.ceil((now + ttlMs) / 1000))
        .sign(privateKey);
    },
  };
}
