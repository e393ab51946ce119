import { encodeBase64url, isSecureWebOrigin } from '@countersign/protocol';
import { keySetClaims } from '@countersign/protocol/key-set';
import {
  base64urlOf,
  compactJws,
  parseFields,
  secureWebOrigin,
} from '@countersign/protocol/schemas';
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
import type { Environment } from './environment.ts';
import { isSigningPair } from './key-pairs.ts';
import { readKey, readTokenKeys, type TokenKeySettings } from './read-token-keys.ts';
import { SettingError } from './setting-error.ts';

/** Everything that the broker is told from outside, checked once for each isolate. */
export type Settings = TokenKeySettings & {
  readonly brokerUrl: string;
  /** Origin at which browsers present device certificates; `undefined` when mTLS evidence is not given. */
  readonly mtlsUrl: string | undefined;
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
  readonly deviceIdKey: CryptoKey;
  readonly deviceIdKeyFingerprint: string;
};

export type SettingsResult =
  | { readonly ok: true; readonly settings: Settings }
  /** `setting` is the name of the binding that is missing or malformed. */
  | { readonly ok: false; readonly setting: string; readonly detail: string };

/** Clients are asked for certificates in TLS handshakes for this host name: an address could not be told from others. */
const mtlsOrigin = z.string().check(
  z.refine((value) => isSecureWebOrigin(value) && /^https:\/\/[a-z0-9.-]*[a-z]/.test(value), {
    error: 'must be an origin with https and a host name',
  }),
);

const text = {
  BROKER_URL: secureWebOrigin,
  MTLS_URL: mtlsOrigin,
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

/** Not set, or set to nothing: wrangler.toml has a line for it either way. */
function readMtlsUrl(raw: unknown): string | undefined {
  return raw === undefined || raw === '' ? undefined : readText('MTLS_URL', raw);
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

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return encodeBase64url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
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
  const published = new Set(keys.map((key) => key.kid));
  if (!published.has(settings.challengeKeys.active.kid)) {
    throw new SettingError('KEY_SET', 'does not hold the public half of CHALLENGE_KEY');
  }
  for (const kid of settings.challengeKeys.accepted.keys()) {
    if (!published.has(kid)) {
      throw new SettingError('KEY_SET', `does not hold the challenge key ${kid} of PUBLIC_KEYS`);
    }
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
  const tokenKeys = await readTokenKeys(environment);
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
    mtlsUrl: readMtlsUrl(environment.MTLS_URL),
    organizationId: readText('ORGANIZATION_ID', environment.ORGANIZATION_ID),
    shardCount: Number(readText('SHARD_COUNT', environment.SHARD_COUNT)),
    ownerTokenSha256: readText('OWNER_TOKEN_SHA256', environment.OWNER_TOKEN_SHA256),
    rootCertificate: root.der,
    issuerCertificate: issuer.der,
    issuerId: await sha256(issuer.der),
    issuerKey,
    leafCommonName,
    keySet: readText('KEY_SET', environment.KEY_SET),
    ...tokenKeys,
    deviceIdKey,
    deviceIdKeyFingerprint: await deviceIdKeyFingerprint(deviceIdKey),
  };
  assertKeySet(settings);
  return settings;
}
