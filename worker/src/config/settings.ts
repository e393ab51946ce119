import { isSecureWebOrigin } from '@countersign/protocol';
import { keySetClaims } from '@countersign/protocol/key-set';
import {
  base64urlOf,
  compactJws,
  parseFields,
  secureWebOrigin,
} from '@countersign/protocol/schemas';
import { encodeName } from '@countersign/x509';
import * as z from 'zod/mini';
import type { IssuerSource } from '../ca/issuer.ts';
import { deviceIdKeyFingerprint } from '../device/hardware-id.ts';
import { type OutboundNetwork, parseOutboundNetworks } from '../integrations/outbound-url.ts';
import type { ScepSettings } from '../scep/scep-settings.ts';
import { parseCompactJws } from '../token/compact-jws.ts';
import type { Environment } from './environment.ts';
import { readCertificate } from './read-certificate.ts';
import { readIssuers } from './read-issuers.ts';
import { readScep } from './read-scep.ts';
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
  /** One, or two while one is rolled over to another. Which of them issues is for the organization to say. */
  readonly issuers: readonly IssuerSource[];
  /** Origin in certificates at which CRLs, OCSP and issuers' certificates are published. */
  readonly pkiUrl: string;
  /** `undefined` where nothing is enrolled by SCEP. */
  readonly scep: ScepSettings | undefined;
  readonly keySet: string;
  /** Where device managements may be, beside public addresses. */
  readonly outboundNetworks: readonly OutboundNetwork[];
  readonly deviceIdKey: CryptoKey;
  readonly deviceIdKeyFingerprint: string;
  /** AES-256-GCM: seals what the broker has to keep and others must not read, such as an MDM's secret. */
  readonly storedSecretsKey: CryptoKey;
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

/**
 * Plain http is right here (RFC 5280 section 8): what is fetched is signed, and https could need the very answer that
 * is being fetched. An origin in its one spelling.
 */
const pkiOrigin = z.string().check(
  z.refine(
    (value) => /^https?:\/\/[a-z0-9.:[\]-]+$/.test(value) && URL.parse(value)?.origin === value,
    {
      error: 'must be an origin with http or https',
    },
  ),
  z.maxLength(255),
);

const text = {
  BROKER_URL: secureWebOrigin,
  PKI_URL: pkiOrigin,
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

/** Durable Objects. */
export const objectBindings = [
  'DEVICE',
  'ORGANIZATION',
  'KEY',
  'REVOCATION',
  'INTEGRATION',
  'REPORT',
] as const;

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
function readOptional(name: 'MTLS_URL' | 'PKI_URL', raw: unknown): string | undefined {
  return raw === undefined || raw === '' ? undefined : readText(name, raw);
}

function readOutboundNetworks(raw: unknown): OutboundNetwork[] {
  const networks = raw === undefined ? [] : parseOutboundNetworks(String(raw));
  if (networks === undefined) {
    throw new SettingError('OUTBOUND_NETWORKS', 'must be networks in CIDR notation');
  }
  return networks;
}

/** Hosts verify challenges with this set alone, auditors receipts; whether its own signature is right is for them to judge. */
function assertKeySet(settings: Settings): void {
  const claims = parseFields(keySetClaims, parseCompactJws(settings.keySet)?.unverifiedPayload);
  if (!claims.ok) throw new SettingError('KEY_SET', `${claims.field} ${claims.detail}`);
  const { iss, aud, keys, audit_keys = [] } = claims.value;
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
  // A receipt that leads to no root would be worth nothing, and nobody would see it before it is needed.
  const forReceipts = new Set(audit_keys.map((key) => key.kid));
  for (const kid of settings.auditKeys.accepted.keys()) {
    if (!forReceipts.has(kid)) {
      throw new SettingError('KEY_SET', `does not hold the audit key ${kid} of PUBLIC_KEYS`);
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
  for (const name of objectBindings) {
    if (environment[name] === undefined) throw new SettingError(name, 'binding is missing');
  }
  const tokenKeys = await readTokenKeys(environment);
  const root = readCertificate('ROOT_CERTIFICATE', environment.ROOT_CERTIFICATE);
  const leafCommonName = readText(
    'LEAF_COMMON_NAME',
    environment.LEAF_COMMON_NAME ?? defaultLeafCommonName,
  );
  const name = encodeName(leafCommonName);
  if (!name.ok) throw new SettingError('LEAF_COMMON_NAME', name.detail);
  const issuers = await readIssuers(environment, root, leafCommonName);
  const deviceIdKey = await readKey('DEVICE_ID_KEY', environment.DEVICE_ID_KEY);
  const brokerUrl = readText('BROKER_URL', environment.BROKER_URL);
  const settings: Settings = {
    brokerUrl,
    mtlsUrl: readOptional('MTLS_URL', environment.MTLS_URL),
    pkiUrl: readOptional('PKI_URL', environment.PKI_URL) ?? brokerUrl,
    organizationId: readText('ORGANIZATION_ID', environment.ORGANIZATION_ID),
    shardCount: Number(readText('SHARD_COUNT', environment.SHARD_COUNT)),
    ownerTokenSha256: readText('OWNER_TOKEN_SHA256', environment.OWNER_TOKEN_SHA256),
    rootCertificate: root.der,
    issuers,
    scep: await readScep(environment, issuers),
    keySet: readText('KEY_SET', environment.KEY_SET),
    outboundNetworks: readOutboundNetworks(environment.OUTBOUND_NETWORKS),
    ...tokenKeys,
    deviceIdKey,
    deviceIdKeyFingerprint: await deviceIdKeyFingerprint(deviceIdKey),
    storedSecretsKey: await readKey('STORED_SECRETS_KEY', environment.STORED_SECRETS_KEY),
  };
  assertKeySet(settings);
  return settings;
}
