import { createHash } from 'node:crypto';
import type { UnavailableCode } from '@countersign/protocol';
import type { Configuration } from '../configuration/configuration.ts';
import { type Enrollment, readEnrollment } from '../enrollment/enrollment-record.ts';
import { hostVersion } from '../host-version.ts';
import { isRefreshDue, refreshKeySet } from '../key-set/refresh-key-set.ts';
import { readStoredKeySet } from '../key-set/stored-key-set.ts';
import { openKeyStores } from '../keystore/open-keystores.ts';
import { currentPosture } from '../posture/current-posture.ts';
import { fail, type Result, succeed } from '../result.ts';
import { type AttestRequest, answerChallenge } from './answer-challenge.ts';

/** While somebody waits at a sign-in page. */
const refreshForSignInTimeoutMs = 5_000;
/** After the answer: browsers end a host about two seconds after they close its port. */
const refreshAfterwardsTimeoutMs = 1_500;

/** Answers a challenge with what is on this machine: its configuration, enrollment, key set and key. */
export async function attest(
  request: AttestRequest,
  configuration: Configuration,
  nowSeconds: number,
): Promise<Result<string, UnavailableCode>> {
  const enrollment = readUsableEnrollment(configuration);
  if (!enrollment.ok) return enrollment;
  const { stateDirectory, development } = configuration;
  const stored = readStoredKeySet(stateDirectory, enrollment.value);
  const [keyStores, posture] = await Promise.all([
    openKeyStores(configuration),
    currentPosture(stateDirectory, nowSeconds),
  ]);
  return answerChallenge(
    request,
    {
      enrollment: enrollment.value,
      allowedOrigins: configuration.origins,
      keyStore: keyStores.open(enrollment.value.keyId),
      facts: { hostVersion, development, posture },
      keys: stored?.claims.keys ?? [],
      async refreshKeys() {
        const refreshed = await refreshKeySet({
          enrollment: enrollment.value,
          stateDirectory,
          nowSeconds,
          timeoutMs: refreshForSignInTimeoutMs,
        });
        return refreshed.ok ? succeed(refreshed.value.keys) : refreshed;
      },
    },
    nowSeconds,
  );
}

/** The daily refresh. Runs after an answer, never before one, so that no sign-in waits for it. */
export async function refreshKeySetIfDue(
  configuration: Configuration,
  nowSeconds: number,
): Promise<Result<unknown, UnavailableCode>> {
  const enrollment = readUsableEnrollment(configuration);
  if (!enrollment.ok) return enrollment;
  const { stateDirectory } = configuration;
  const stored = readStoredKeySet(stateDirectory, enrollment.value);
  if (stored !== undefined && !isRefreshDue(stored.fetchedAtSeconds, nowSeconds)) {
    return succeed(undefined);
  }
  return refreshKeySet({
    enrollment: enrollment.value,
    stateDirectory,
    nowSeconds,
    timeoutMs: refreshAfterwardsTimeoutMs,
  });
}

function readUsableEnrollment(
  configuration: Configuration,
): Result<Enrollment, 'not_enrolled' | 'key_unavailable' | 'key_set_invalid'> {
  const enrollment = readEnrollment(configuration.stateDirectory);
  if (!enrollment.ok) return fail('key_unavailable', enrollment.detail);
  if (enrollment.value === undefined) {
    return fail('not_enrolled', `${configuration.stateDirectory} holds no enrollment`);
  }
  const rootSha256 = createHash('sha256')
    .update(enrollment.value.rootCertificate)
    .digest('base64url');
  if (configuration.rootSha256 !== undefined && configuration.rootSha256 !== rootSha256) {
    return fail('key_set_invalid', 'the enrollment is not under the root that root_sha256 pins');
  }
  return succeed(enrollment.value);
}
