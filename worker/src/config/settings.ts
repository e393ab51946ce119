import { encodeBase64url } from '@countersign/protocol';
import { keySetClaims } from '@countersign/protocol/key-set';
import {
  base64urlOf,
  compactJws,
  p256PublicJwk,
  parseFields,
  secureWebOrigin,
} from '@countersign/protocol/schemas';
import { parseStrictJson } from '@countersign/protocol/strict-json';
import {
  createLeafTemplate,
  decodePem,
  encodeName,
  importVerifyKey,
  type ParsedCertificate,
  parseCertificate,
  verifyIssuedBy,
} from '@countersign/x509';
import * as z from 'zod/mini';
import { deviceIdKeyFingerprint } from '../device/hardware-id.ts';
import { parseCompactJws } from '../token/compact-jws.ts';
import {
  type P256PublicJwk,
  type SigningKeys,
  type TokenKey,
  thumbprint,
  type VerificationKey,
} from '../token/token-key.ts';
import type { Environment } from './environment.ts';
import { importSecretKey, type KeyUse } from './import-key.ts';
import { importSigningHalf, isAgreementPair, isSigningPair } from './key-pairs.ts';

/** Everything that the broker is told from outside, checked once for each isolate. */
export type Settings = {
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly shardCount: number;
  readonly ownerTokenSha256: string;
  readonly rootCertificate: Uint8Array;
  readonly issuerCertificate: Uint8Array;
  /** Names the issuer in certificate records: base64url SHA-256 of its certificate. */
  readonly issuerId: string;
  readonly issuerKey: CryptoKey;
  readonly leafCommonName: string;
  readonly keySet: string;
  readonly challengeKeys: SigningKeys;
  readonly mtlsEvidenceKeys: SigningKeys;
  readonly decisionKeys: SigningKeys;
  /** Responses are encrypted to the first one; all of them decrypt. */
  readonly responseKeys: readonly TokenKey[];
  readonly deviceIdKey: CryptoKey;
  readonly deviceIdKeyFingerprint: string;
};

export type SettingsResult =
  | { readonly ok: true; readonly settings: Settings }
  /** `setting` is the name of the binding that is missing or malformed. */
  | { readonly ok: false; readonly setting: string; readonly detail: string };

class SettingError extends Error {
  readonly setting: string;
  constructor(setting: string, detail: string) {
    super(detail);
    this.setting = setting;
  }
}

/** The first key of each purpose is in use; what the others signed, or will sign, is accepted too. */
const keysOfOnePurpose = z.array(p256PublicJwk).check(z.minLength(1), z.maxLength(4));
const publicKeys = z.object({
  challenge: keysOfOnePurpose,
  mtls_evidence: keysOfOnePurpose,
  decision: keysOfOnePurpose,
  response_encryption: keysOfOnePurpose,
});

const text = {
  BROKER_URL: secureWebOrigin,
  ORGANIZATION_ID: z
    .string()
    .check(
      z.regex(/^org_[A-Za-z0-9_-]{22}$/, { error: 'must be org_ and 22 base64url characters' }),
    ),
  SHARD_COUNT: z.string().check(
    z.regex(/^[1-9][0-9]{0,3}$/, { error: 'must be 1 to 4096' }),
    z.refine((count) => Number(count) <= 4096, { error: 'must be 1 to 4096' }),
  ),
  OWNER_TOKEN_SHA256: base64urlOf(32),
  LEAF_COMMON_NAME: z.string().check(z.minLength(1), z.maxLength(64)),
  KEY_SET: compactJws(32 * 1024),
} as const;

const defaultLeafCommonName = 'Countersign device';

function readText(name: keyof typeof text, raw: unknown): string {
  if (raw === undefined || raw === '') throw new SettingError(name, 'is missing');
  const result = z.safeParse(text[name], raw);
  if (!result.success) {
    throw new SettingError(name, result.error.issues[0]?.message ?? 'is malformed');
  }
  return result.data;
}

function readCertificate(
  name: 'ROOT_CERTIFICATE' | 'ISSUER_CERTIFICATE',
  raw: unknown,
): ParsedCertificate {
  if (typeof raw !== 'string' || raw === '') throw new SettingError(name, 'is missing');
  const der = decodePem(raw, 'CERTIFICATE');
  if (!der.ok) throw new SettingError(name, `is not one PEM certificate: ${der.detail}`);
  const parsed = parseCertificate(der.value);
  if (!parsed.ok) throw new SettingError(name, `is not a certificate: ${parsed.detail}`);
  return parsed.value;
}

async function readKey(name: keyof typeof keyUses, raw: unknown): Promise<CryptoKey> {
  const result = await importSecretKey(raw, keyUses[name]);
  if (!result.ok) throw new SettingError(name, result.detail);
  return result.key;
}

const keyUses = {
  ISSUER_KEY: 'sign-p256',
  CHALLENGE_KEY: 'sign-p256',
  MTLS_EVIDENCE_KEY: 'sign-p256',
  DECISION_KEY: 'sign-p256',
  RESPONSE_KEY: 'derive-p256',
  DEVICE_ID_KEY: 'mac',
} as const satisfies Record<string, KeyUse>;

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return encodeBase64url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

async function verificationKey(publicJwk: P256PublicJwk): Promise<VerificationKey> {
  const publicKey = await importSigningHalf(publicJwk);
  if (publicKey === undefined) throw new SettingError('PUBLIC_KEYS', 'holds no point on the curve');
  return { kid: await thumbprint(publicJwk), publicJwk, publicKey };
}

async function signingKeys(
  name: 'CHALLENGE_KEY' | 'MTLS_EVIDENCE_KEY' | 'DECISION_KEY',
  publicJwks: readonly P256PublicJwk[],
  privateKey: CryptoKey,
): Promise<SigningKeys> {
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

async function agreementKey(
  publicJwk: P256PublicJwk | undefined,
  privateKey: CryptoKey,
): Promise<TokenKey> {
  if (publicJwk === undefined || !(await isAgreementPair(publicJwk, privateKey))) {
    throw new SettingError('PUBLIC_KEYS', 'does not hold the public half of RESPONSE_KEY');
  }
  return { kid: await thumbprint(publicJwk), publicJwk, privateKey };
}

/** Challenges, mTLS evidence, decisions and responses each have keys of their own: what one signs, none of the others may mean. */
function assertDistinct(keyIds: readonly string[]): void {
  if (new Set(keyIds).size < keyIds.length) {
    throw new SettingError('PUBLIC_KEYS', 'holds one key for two purposes');
  }
}

/** The issuing certificate must be the root's, able to issue, and of the issuing key. When it expires is not judged. */
async function assertIssuer(
  issuer: ParsedCertificate,
  root: ParsedCertificate,
  privateKey: CryptoKey,
): Promise<void> {
  const issued = await verifyIssuedBy(issuer, root, 'issuing-ca', issuer.notBeforeMs);
  if (!issued.ok) {
    throw new SettingError('ISSUER_CERTIFICATE', `is not issued by the root: ${issued.detail}`);
  }
  const template = createLeafTemplate(issuer);
  if (!template.ok) {
    throw new SettingError('ISSUER_CERTIFICATE', `cannot issue: ${template.detail}`);
  }
  const publicKey = await importVerifyKey(issuer.subjectPublicKey);
  const isP256 = issuer.subjectPublicKey.kind === 'ec-p256';
  if (!publicKey.ok || !isP256 || !(await isSigningPair(publicKey.value, privateKey))) {
    throw new SettingError('ISSUER_KEY', 'is not the key of ISSUER_CERTIFICATE');
  }
}

/** Hosts verify challenges with this set alone; whether its own signature is right is for them to judge. */
function assertKeySet(settings: Settings): void {
  const claims = parseFields(keySetClaims, parseCompactJws(settings.keySet)?.unverifiedPayload);
  if (!claims.ok) throw new SettingError('KEY_SET', `${claims.field} ${claims.detail}`);
  const { iss, aud, keys } = claims.value;
  if (iss !== settings.brokerUrl) throw new SettingError('KEY_SET', 'is of another BROKER_URL');
  if (aud !== settings.organizationId) {
    throw new SettingError('KEY_SET', 'is of another ORGANIZATION_ID');
  }
  if (!keys.some((key) => key.kid === settings.challengeKeys.active.kid)) {
    throw new SettingError('KEY_SET', 'does not hold the public half of CHALLENGE_KEY');
  }
}

/** The bindings before anything about them is known. */
type UncheckedEnvironment = { readonly [Name in keyof Environment]?: unknown };

/** Reads and checks every setting. Names the first one that is wrong; never throws. */
export async function readSettings(environment: UncheckedEnvironment): Promise<SettingsResult> {
  try {
    return { ok: true, settings: await readAll(environment) };
  } catch (error) {
    if (error instanceof SettingError) {
      return { ok: false, setting: error.setting, detail: error.message };
    }
    return { ok: false, setting: '(unknown)', detail: String(error) };
  }
}

async function readAll(environment: UncheckedEnvironment): Promise<Settings> {
  for (const name of ['DEVICE', 'ORGANIZATION', 'KEY'] as const) {
    if (environment[name] === undefined) throw new SettingError(name, 'binding is missing');
  }
  const rawPublicKeys = parseStrictJson(String(environment.PUBLIC_KEYS ?? ''));
  if (!rawPublicKeys.ok) throw new SettingError('PUBLIC_KEYS', 'is missing or not JSON');
  const keys = parseFields(publicKeys, rawPublicKeys.value);
  if (!keys.ok) throw new SettingError('PUBLIC_KEYS', `${keys.field}: ${keys.detail}`);

  const challengeKeys = await signingKeys(
    'CHALLENGE_KEY',
    keys.value.challenge,
    await readKey('CHALLENGE_KEY', environment.CHALLENGE_KEY),
  );
  const mtlsEvidenceKeys = await signingKeys(
    'MTLS_EVIDENCE_KEY',
    keys.value.mtls_evidence,
    await readKey('MTLS_EVIDENCE_KEY', environment.MTLS_EVIDENCE_KEY),
  );
  const decisionKeys = await signingKeys(
    'DECISION_KEY',
    keys.value.decision,
    await readKey('DECISION_KEY', environment.DECISION_KEY),
  );
  const responseKey = await agreementKey(
    keys.value.response_encryption[0],
    await readKey('RESPONSE_KEY', environment.RESPONSE_KEY),
  );
  assertDistinct([
    ...challengeKeys.accepted.keys(),
    ...mtlsEvidenceKeys.accepted.keys(),
    ...decisionKeys.accepted.keys(),
    responseKey.kid,
  ]);

  const issuerKey = await readKey('ISSUER_KEY', environment.ISSUER_KEY);
  const root = readCertificate('ROOT_CERTIFICATE', environment.ROOT_CERTIFICATE);
  const issuer = readCertificate('ISSUER_CERTIFICATE', environment.ISSUER_CERTIFICATE);
  await assertIssuer(issuer, root, issuerKey);
  const deviceIdKey = await readKey('DEVICE_ID_KEY', environment.DEVICE_ID_KEY);
  const leafCommonName = readText(
    'LEAF_COMMON_NAME',
    environment.LEAF_COMMON_NAME ?? defaultLeafCommonName,
  );
  const name = encodeName(leafCommonName);
  if (!name.ok) throw new SettingError('LEAF_COMMON_NAME', name.detail);
  const settings: Settings = {
    brokerUrl: readText('BROKER_URL', environment.BROKER_URL),
    organizationId: readText('ORGANIZATION_ID', environment.ORGANIZATION_ID),
    shardCount: Number(readText('SHARD_COUNT', environment.SHARD_COUNT)),
    ownerTokenSha256: readText('OWNER_TOKEN_SHA256', environment.OWNER_TOKEN_SHA256),
    rootCertificate: root.der,
    issuerCertificate: issuer.der,
    issuerId: await sha256(issuer.der),
    issuerKey,
    leafCommonName,
    keySet: readText('KEY_SET', environment.KEY_SET),
    challengeKeys,
    mtlsEvidenceKeys,
    decisionKeys,
    responseKeys: [responseKey],
    deviceIdKey,
    deviceIdKeyFingerprint: await deviceIdKeyFingerprint(deviceIdKey),
  };
  assertKeySet(settings);
  return settings;
}
