import type { Configuration } from '../configuration/configuration.ts';
import { readEnrollment } from '../enrollment/enrollment-record.ts';
import { fail, type Result, succeed } from '../result.ts';
import type { RenewOutcome, RenewReason } from './renew.ts';
import { readAttempts } from './renewal-attempts.ts';
import { isRenewalDue } from './renewal-due.ts';

/** Renews when it is time, and after failures when it is time again; `undefined` when there was nothing to do. */
export async function renewIfDue(
  configuration: Configuration,
  nowSeconds: number,
  timeoutMs?: number,
): Promise<Result<RenewOutcome | undefined, RenewReason>> {
  const { stateDirectory } = configuration;
  const enrollment = readEnrollment(stateDirectory);
  if (!enrollment.ok) return fail('key_unavailable', enrollment.detail);
  if (enrollment.value === undefined) {
    return fail('not_enrolled', `${stateDirectory} holds no enrollment`);
  }
  const attempts = readAttempts(stateDirectory);
  if (!isRenewalDue(enrollment.value, attempts, nowSeconds)) {
    return succeed(undefined);
  }
  const [{ renew }, { openKeyStores }] = await Promise.all([
    import('./renew.ts'),
    import('../keystore/open-keystores.ts'),
  ]);
  return renew({
    stateDirectory,
    keyStores: await openKeyStores(configuration),
    nowSeconds,
    rekey: attempts?.rekeyIsOpen === true,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}
