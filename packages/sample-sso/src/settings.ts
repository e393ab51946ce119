import { readFileSync } from 'node:fs';
import * as z from 'zod/mini';
import type { SampleSiteOptions } from './start-sample-site.ts';

/** The environment variables, as `main.ts` prints them when one is wrong. */
const settingsSchema = z.object({
  COUNTERSIGN_BROKER_URL: z._default(z.string(), 'http://127.0.0.1:8780'),
  COUNTERSIGN_BROKER_INTERNAL_URL: z.optional(z.string()),
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

  const readNamedFile = (
    setting:
      | 'COUNTERSIGN_CLIENT_SECRET_FILE'
      | 'SAMPLE_SSO_TLS_KEY_FILE'
      | 'SAMPLE_SSO_TLS_CERT_FILE',
  ): string | undefined => {
    const path = settings[setting];
    if (path === undefined) return undefined;
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      throw new UnreadableFile(setting, cause);
    }
  };

  try {
    const secretFile = readNamedFile('COUNTERSIGN_CLIENT_SECRET_FILE')?.trim();
    const clientSecret = secretFile ?? settings.COUNTERSIGN_CLIENT_SECRET;
    if (clientSecret === undefined) {
      const detail = 'is not set, and neither is COUNTERSIGN_CLIENT_SECRET_FILE';
      return { ok: false, setting: 'COUNTERSIGN_CLIENT_SECRET', detail };
    }
    const key = readNamedFile('SAMPLE_SSO_TLS_KEY_FILE');
    const cert = readNamedFile('SAMPLE_SSO_TLS_CERT_FILE');
    if ((key === undefined) !== (cert === undefined)) {
      const setting = key === undefined ? 'SAMPLE_SSO_TLS_KEY_FILE' : 'SAMPLE_SSO_TLS_CERT_FILE';
      return {
        ok: false,
        setting,
        detail: 'is not set; TLS needs both the key and the certificate',
      };
    }
    return {
      ok: true,
      value: {
        port: Number(settings.SAMPLE_SSO_PORT),
        host: settings.SAMPLE_SSO_HOST,
        tls: key === undefined || cert === undefined ? undefined : { key, cert },
        brokerUrl: settings.COUNTERSIGN_BROKER_URL,
        brokerInternalUrl: settings.COUNTERSIGN_BROKER_INTERNAL_URL,
        clientId: settings.COUNTERSIGN_CLIENT_ID,
        clientSecret,
        application: settings.COUNTERSIGN_APPLICATION,
        title: settings.SAMPLE_SSO_TITLE,
      },
    };
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    return { ok: false, setting: error.setting, detail: `cannot be read: ${error.message}` };
  }
}

class UnreadableFile extends Error {
  readonly setting: string;

  constructor(setting: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause));
    this.setting = setting;
  }
}
