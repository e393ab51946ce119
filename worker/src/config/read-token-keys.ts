import { p256PublicJwk, parseFields } from '@countersign/protocol/schemas';
import { parseStrictJson } from '@countersign/protocol/strict-json';
import * as z from 'zod/mini';
import {
  type P256PublicJwk,
  type SigningKeys,
  type TokenKey,
  thumbprint,
  type VerificationKey,
} from '../token/token-key.ts';
import { importSecretKey, type KeyUse } from './import-key.ts';
import { importSigningHalf, isAgreementPair, isSigningPair } from './key-pairs.ts';
import { SettingError } from './setting-error.ts';

export type TokenKeySettings = {
  readonly challengeKeys: SigningKeys;
  readonly mtlsEvidenceKeys: SigningKeys;
  readonly decisionKeys: SigningKeys;
  /** For checkpoints of the log. */
  readonly auditKeys: SigningKeys;
  /** Responses are encrypted to the first one; all of them decrypt. */
  readonly responseKeys: readonly TokenKey[];
};

/**
 * The first key of each purpose is in use. What the others signed, or will sign, is accepted too: while keys are
 * rotated there is the one that comes, or the one that goes.
 */
const signingHalves = z.array(p256PublicJwk).check(z.minLength(1), z.maxLength(4));
const publicKeys = z.object({
  challenge: signingHalves,
  mtls_evidence: signingHalves,
  decision: signingHalves,
  audit: signingHalves,
  /** Here each needs its private half: `RESPONSE_KEY`, `RESPONSE_KEY_OTHER`. */
  response_encryption: z.array(p256PublicJwk).check(z.minLength(1), z.maxLength(2)),
});

const keyUses = {
  ISSUER_KEY: 'sign-p256',
  ISSUER_2_KEY: 'sign-p256',
  CHALLENGE_KEY: 'sign-p256',
  MTLS_EVIDENCE_KEY: 'sign-p256',
  DECISION_KEY: 'sign-p256',
  AUDIT_KEY: 'sign-p256',
  RESPONSE_KEY: 'derive-p256',
  RESPONSE_KEY_OTHER: 'derive-p256',
  DEVICE_ID_KEY: 'mac',
  STORED_SECRETS_KEY: 'seal',
} as const satisfies Record<string, KeyUse>;

/** @throws SettingError */
export async function readKey(name: keyof typeof keyUses, raw: unknown): Promise<CryptoKey> {
  const result = await importSecretKey(raw, keyUses[name]);
  if (!result.ok) throw new SettingError(name, result.detail);
  return result.key;
}

async function verificationKey(publicJwk: P256PublicJwk): Promise<VerificationKey> {
  const publicKey = await importSigningHalf(publicJwk);
  if (publicKey === undefined) throw new SettingError('PUBLIC_KEYS', 'holds no point on the curve');
  return { kid: await thumbprint(publicJwk), publicJwk, publicKey };
}

async function readSigningKeys(
  name: 'CHALLENGE_KEY' | 'MTLS_EVIDENCE_KEY' | 'DECISION_KEY' | 'AUDIT_KEY',
  publicJwks: readonly P256PublicJwk[],
  raw: unknown,
): Promise<SigningKeys> {
  const privateKey = await readKey(name, raw);
  const keys = await Promise.all(publicJwks.map(verificationKey));
  const [active] = keys;
  if (active === undefined || !(await isSigningPair(active.publicKey, privateKey))) {
    throw new SettingError('PUBLIC_KEYS', `does not hold the public half of ${name}`);
  }
  const { kid, publicJwk } = active;
  return {
    active: { kid, publicJwk, privateKey },
    accepted: new Map(keys.map((key) => [key.kid, key])),
  };
}

async function readResponseKey(
  name: 'RESPONSE_KEY' | 'RESPONSE_KEY_OTHER',
  publicJwk: P256PublicJwk,
  raw: unknown,
): Promise<TokenKey> {
  const privateKey = await readKey(name, raw);
  if (!(await isAgreementPair(publicJwk, privateKey))) {
    throw new SettingError('PUBLIC_KEYS', `does not hold the public half of ${name}`);
  }
  return { kid: await thumbprint(publicJwk), publicJwk, privateKey };
}

/** Each purpose has keys of its own: what one of them signs, none of the others may mean. */
async function assertDistinct(keys: z.infer<typeof publicKeys>): Promise<void> {
  const keyIds = await Promise.all(Object.values(keys).flat().map(thumbprint));
  if (new Set(keyIds).size < keyIds.length) {
    throw new SettingError('PUBLIC_KEYS', 'holds one key twice');
  }
}

/** The bindings that hold token keys, before anything about them is known. */
type UncheckedKeys = {
  readonly [Name in keyof typeof keyUses | 'PUBLIC_KEYS']?: unknown;
};

/**
 * Reads the keys of all purposes. `RESPONSE_KEY_OTHER` is looked at only where `PUBLIC_KEYS` has its public half: one
 * that was left over from a rotation does nothing.
 *
 * @throws SettingError
 */
export async function readTokenKeys(environment: UncheckedKeys): Promise<TokenKeySettings> {
  const json = parseStrictJson(String(environment.PUBLIC_KEYS ?? ''));
  if (!json.ok) throw new SettingError('PUBLIC_KEYS', 'is missing or not JSON');
  const parsed = parseFields(publicKeys, json.value);
  if (!parsed.ok) throw new SettingError('PUBLIC_KEYS', `${parsed.field}: ${parsed.detail}`);
  const { challenge, mtls_evidence, decision, response_encryption, audit } = parsed.value;
  const { CHALLENGE_KEY, MTLS_EVIDENCE_KEY, DECISION_KEY, AUDIT_KEY } = environment;
  const keys = {
    challengeKeys: await readSigningKeys('CHALLENGE_KEY', challenge, CHALLENGE_KEY),
    mtlsEvidenceKeys: await readSigningKeys('MTLS_EVIDENCE_KEY', mtls_evidence, MTLS_EVIDENCE_KEY),
    decisionKeys: await readSigningKeys('DECISION_KEY', decision, DECISION_KEY),
    auditKeys: await readSigningKeys('AUDIT_KEY', audit, AUDIT_KEY),
    responseKeys: await Promise.all(
      response_encryption.map((publicJwk, index) => {
        const name = index === 0 ? 'RESPONSE_KEY' : 'RESPONSE_KEY_OTHER';
        return readResponseKey(name, publicJwk, environment[name]);
      }),
    ),
  };
  await assertDistinct(parsed.value);
  return keys;
}
