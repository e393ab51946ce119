import { encodeBase64url } from '@countersign/protocol';
import { base64urlOf, compactJws, p256PublicJwk, parseFields } from '@countersign/protocol/schemas';
import { decodePem, parseCertificate } from '@countersign/x509';
import * as z from 'zod/mini';
import { deviceIdKeyFingerprint } from '../device/hardware-id.ts';
import { type TokenKey, thumbprint } from '../token/token-key.ts';
import type { Environment } from './environment.ts';
import { importSecretKey, type KeyUse } from './import-key.ts';

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
  readonly challengeKey: TokenKey;
  readonly challengePublicKey: CryptoKey;
  readonly decisionKey: TokenKey;
  readonly responseKey: TokenKey;
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

const publicKeys = z.object({
  challenge: p256PublicJwk,
  decision: p256PublicJwk,
  response_encryption: p256PublicJwk,
});

const text = {
  BROKER_URL: z
    .url()
    .check(z.regex(/^https?:\/\/[^/?#@]+$/, { error: 'must be scheme://host[:port] alone' })),
  ORGANIZATION_ID: z.string().check(z.regex(/^org_[A-Za-z0-9_-]{22}$/)),
  SHARD_COUNT: z.string().check(z.regex(/^[1-9][0-9]{0,3}$/, { error: 'must be 1 to 9999' })),
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
): Uint8Array {
  if (typeof raw !== 'string' || raw === '') throw new SettingError(name, 'is missing');
  const der = decodePem(raw, 'CERTIFICATE');
  if (!der.ok) throw new SettingError(name, `is not one PEM certificate: ${der.detail}`);
  const parsed = parseCertificate(der.value);
  if (!parsed.ok) throw new SettingError(name, `is not a certificate: ${parsed.detail}`);
  return der.value;
}

async function readKey(name: keyof typeof keyUses, raw: unknown): Promise<CryptoKey> {
  const result = await importSecretKey(raw, keyUses[name]);
  if (!result.ok) throw new SettingError(name, result.detail);
  return result.key;
}

const keyUses = {
  ISSUER_KEY: 'sign-p256',
  CHALLENGE_KEY: 'sign-p256',
  DECISION_KEY: 'sign-p256',
  RESPONSE_KEY: 'derive-p256',
  DEVICE_ID_KEY: 'mac',
} as const satisfies Record<string, KeyUse>;

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return encodeBase64url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

async function tokenKey(
  publicJwk: z.infer<typeof p256PublicJwk>,
  privateKey: CryptoKey,
): Promise<TokenKey> {
  return { kid: await thumbprint(publicJwk), publicJwk, privateKey };
}

/** A wrong pairing of public and private halves would only show as refused sign-ins; find it at start instead. */
async function assertSigningPair(name: string, key: TokenKey): Promise<CryptoKey> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const publicKey = await crypto.subtle.importKey('jwk', key.publicJwk, algorithm, true, [
    'verify',
  ]);
  const probe = new TextEncoder().encode('countersign key pair check');
  const signature = await crypto.subtle.sign(algorithm, key.privateKey, probe);
  if (!(await crypto.subtle.verify(algorithm, publicKey, signature, probe))) {
    throw new SettingError('PUBLIC_KEYS', `does not hold the public half of ${name}`);
  }
  return publicKey;
}

/** Reads and checks every setting. Names the first one that is wrong; never throws. */
export async function readSettings(environment: Environment): Promise<SettingsResult> {
  try {
    return { ok: true, settings: await readAll(environment) };
  } catch (error) {
    if (error instanceof SettingError) {
      return { ok: false, setting: error.setting, detail: error.message };
    }
    return { ok: false, setting: '(unknown)', detail: String(error) };
  }
}

async function readAll(environment: Environment): Promise<Settings> {
  for (const name of ['DEVICE', 'ORGANIZATION', 'KEY'] as const) {
    if (environment[name] === undefined) throw new SettingError(name, 'binding is missing');
  }
  let rawPublicKeys: unknown;
  try {
    rawPublicKeys = JSON.parse(environment.PUBLIC_KEYS);
  } catch {
    throw new SettingError('PUBLIC_KEYS', 'is missing or not JSON');
  }
  const keys = parseFields(publicKeys, rawPublicKeys);
  if (!keys.ok) throw new SettingError('PUBLIC_KEYS', `${keys.field}: ${keys.detail}`);

  const challengeKey = await tokenKey(
    keys.value.challenge,
    await readKey('CHALLENGE_KEY', environment.CHALLENGE_KEY),
  );
  const decisionKey = await tokenKey(
    keys.value.decision,
    await readKey('DECISION_KEY', environment.DECISION_KEY),
  );
  await assertSigningPair('DECISION_KEY', decisionKey);
  const deviceIdKey = await readKey('DEVICE_ID_KEY', environment.DEVICE_ID_KEY);
  const issuerCertificate = readCertificate('ISSUER_CERTIFICATE', environment.ISSUER_CERTIFICATE);
  return {
    brokerUrl: readText('BROKER_URL', environment.BROKER_URL),
    organizationId: readText('ORGANIZATION_ID', environment.ORGANIZATION_ID),
    shardCount: Number(readText('SHARD_COUNT', environment.SHARD_COUNT)),
    ownerTokenSha256: readText('OWNER_TOKEN_SHA256', environment.OWNER_TOKEN_SHA256),
    rootCertificate: readCertificate('ROOT_CERTIFICATE', environment.ROOT_CERTIFICATE),
    issuerCertificate,
    issuerId: await sha256(new Uint8Array(issuerCertificate)),
    issuerKey: await readKey('ISSUER_KEY', environment.ISSUER_KEY),
    leafCommonName: readText(
      'LEAF_COMMON_NAME',
      environment.LEAF_COMMON_NAME ?? defaultLeafCommonName,
    ),
    keySet: readText('KEY_SET', environment.KEY_SET),
    challengeKey,
    challengePublicKey: await assertSigningPair('CHALLENGE_KEY', challengeKey),
    decisionKey,
    responseKey: await tokenKey(
      keys.value.response_encryption,
      await readKey('RESPONSE_KEY', environment.RESPONSE_KEY),
    ),
    deviceIdKey,
    deviceIdKeyFingerprint: await deviceIdKeyFingerprint(deviceIdKey),
  };
}
