import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as z from 'zod/mini';
import type { SampleSiteOptions } from './start-sample-site.ts';

/** The environment variables, as `main.ts` prints them when one is wrong. */
const settingsSchema = z.object({
  COUNTERSIGN_BROKER_URL: z._default(z.string(), 'http://127.0.0.1:8780'),
  COUNTERSIGN_BROKER_INTERNAL_URL: z.optional(z.string()),
  COUNTERSIGN_MTLS_URL: z.optional(z.string()),
  COUNTERSIGN_CLIENT_ID: z.string(),
  COUNTERSIGN_CLIENT_SECRET: z.optional(z.string()),
  COUNTERSIGN_CLIENT_SECRET_FILE: z.optional(z.string()),
  COUNTERSIGN_APPLICATION: z.string().check(z.minLength(1)),
  SAMPLE_SSO_HOST: z._default(z.string().check(z.minLength(1)), '127.0.0.1'),
  SAMPLE_SSO_PORT: z._default(
    z.string().check(
      z.refine((text) => /^\d{1,5}$/.test(text) && Number(text) <= 65_535, {
        error: 'must be a port, 0 to 65535',
      }),
    ),
    '8790',
  ),
  SAMPLE_SSO_TITLE: z.optional(z.string().check(z.maxLength(128))),
  SAMPLE_SSO_FAIL_OPEN_FILE: z.optional(z.string()),
  SAMPLE_SSO_TLS_KEY_FILE: z.optional(z.string()),
  SAMPLE_SSO_TLS_CERT_FILE: z.optional(z.string()),
});

export type SettingsResult =
  | { readonly ok: true; readonly value: SampleSiteOptions }
  | { readonly ok: false; readonly setting: string; readonly detail: string };

/** Reads the settings, and the files that they name; an empty variable counts as unset. */
export function readSettings(
  environment: Readonly<Record<string, string | undefined>>,
): SettingsResult {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = z.safeParse(settingsSchema, given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const setting = String(issue?.path[0]);
    const isMissing = given[setting] === undefined;
    return {
      ok: false,
      setting,
      detail: isMissing ? 'is not set' : (issue?.message ?? 'is wrong'),
    };
  }
  const settings = parsed.data;

  try {
    const secretFile = settings.COUNTERSIGN_CLIENT_SECRET_FILE;
    const clientSecret =
      secretFile === undefined
        ? settings.COUNTERSIGN_CLIENT_SECRET
        : readNamedFile('COUNTERSIGN_CLIENT_SECRET_FILE', secretFile).trim();
    if (clientSecret === undefined) {
      throw new WrongSetting(
        'COUNTERSIGN_CLIENT_SECRET',
        'is not set, and neither is COUNTERSIGN_CLIENT_SECRET_FILE',
      );
    }
    return {
      ok: true,
      value: {
        port: Number(settings.SAMPLE_SSO_PORT),
        host: settings.SAMPLE_SSO_HOST,
        tls: readTls(settings.SAMPLE_SSO_TLS_KEY_FILE, settings.SAMPLE_SSO_TLS_CERT_FILE),
        brokerUrl: settings.COUNTERSIGN_BROKER_URL,
        brokerInternalUrl: settings.COUNTERSIGN_BROKER_INTERNAL_URL,
        mtlsUrl: settings.COUNTERSIGN_MTLS_URL,
        clientId: settings.COUNTERSIGN_CLIENT_ID,
        clientSecret,
        application: settings.COUNTERSIGN_APPLICATION,
        title: settings.SAMPLE_SSO_TITLE,
        failOpenFile: settings.SAMPLE_SSO_FAIL_OPEN_FILE,
      },
    };
  } catch (error) {
    if (!(error instanceof WrongSetting)) throw error;
    return { ok: false, setting: error.setting, detail: error.message };
  }
}

class WrongSetting extends Error {
  readonly setting: keyof z.infer<typeof settingsSchema>;

  constructor(setting: WrongSetting['setting'], detail: string) {
    super(detail);
    this.setting = setting;
  }
}

function readNamedFile(setting: WrongSetting['setting'], path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new WrongSetting(setting, `cannot be read: ${detail}`);
  }
}

function readTls(keyFile: string | undefined, certFile: string | undefined) {
  const [keySetting, certSetting] = [
    'SAMPLE_SSO_TLS_KEY_FILE',
    'SAMPLE_SSO_TLS_CERT_FILE',
  ] as const;
  if (keyFile === undefined && certFile === undefined) return undefined;
  const needsBoth = 'is not set; TLS needs both the key and the certificate';
  if (keyFile === undefined) throw new WrongSetting(keySetting, needsBoth);
  if (certFile === undefined) throw new WrongSetting(certSetting, needsBoth);

  const key = readNamedFile(keySetting, keyFile);
  const cert = readNamedFile(certSetting, certFile);
  const privateKey = parsed(keySetting, 'holds no private key in PEM', () => createPrivateKey(key));
  const certificate = parsed(
    certSetting,
    'holds no certificate in PEM',
    () => new X509Certificate(cert),
  );
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new WrongSetting(keySetting, `does not belong to the certificate in ${certSetting}`);
  }
  return { key, cert };
}

function parsed<Value>(
  setting: WrongSetting['setting'],
  detail: string,
  parse: () => Value,
): Value {
  try {
    return parse();
  } catch {
    throw new WrongSetting(setting, detail);
  }
}
