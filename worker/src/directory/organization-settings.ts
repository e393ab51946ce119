import { httpsLink } from '@countersign/protocol/learn-more';
import * as z from 'zod/mini';
import type { DirectorySettings, IssuerChoice, ReadOnlyMode } from './organization-snapshot.ts';

/** Rows of `settings`: a name and a text, JSON where it has parts. What does not fit is damage and fails closed. */

export function readSetting(sql: SqlStorage, name: string): string | undefined {
  return sql.exec<{ value: string }>('SELECT value FROM settings WHERE name = ?', name).toArray()[0]
    ?.value;
}

/** @param value `undefined` takes the setting away */
export function writeSetting(sql: SqlStorage, name: string, value: string | undefined): void {
  if (value === undefined) {
    sql.exec('DELETE FROM settings WHERE name = ?', name);
    return;
  }
  sql.exec(
    `INSERT INTO settings (name, value) VALUES (?, ?)
     ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    name,
    value,
  );
}

export function readVersion(sql: SqlStorage): number {
  return z.int().parse(Number(readSetting(sql, 'version')));
}

/** What snapshots hold has changed: every isolate reads again. */
export function raiseVersion(sql: SqlStorage): number {
  const version = readVersion(sql) + 1;
  sql.exec(`UPDATE settings SET value = ? WHERE name = 'version'`, String(version));
  return version;
}

function readJson<Schema extends z.core.$ZodType>(
  sql: SqlStorage,
  name: string,
  schema: Schema,
): z.core.output<Schema> | undefined {
  const text = readSetting(sql, name);
  return text === undefined ? undefined : z.parse(schema, JSON.parse(text));
}

const readOnlyMode = z.object({ retryAfterSeconds: z.int() });
const issuerChoice = z.object({
  issuing: z.optional(z.string()),
  retired: z.array(z.string()),
});
const directorySettings = z.object({ requireKnownUsers: z.boolean() });
const deviceTrustSettings = z.object({ enabled: z.boolean() });

export const readReadOnly = (sql: SqlStorage): ReadOnlyMode | undefined =>
  readJson(sql, 'read_only', readOnlyMode);

export function readIssuers(sql: SqlStorage): IssuerChoice {
  const { issuing, retired = [] } = readJson(sql, 'issuers', issuerChoice) ?? {};
  return { issuing, retired };
}

export const readDirectory = (sql: SqlStorage): DirectorySettings =>
  readJson(sql, 'directory', directorySettings) ?? { requireKnownUsers: false };

export const readDeviceTrustEnabled = (sql: SqlStorage): boolean =>
  readJson(sql, 'device_trust', deviceTrustSettings)?.enabled ?? true;

/** Checked when it was set; one that does not fit is damage. */
export const readLearnMoreUrl = (sql: SqlStorage): string | undefined => {
  const url = readSetting(sql, 'learn_more_url');
  return url === undefined ? undefined : z.parse(httpsLink, url);
};

const textOrNone = (value: object | undefined) =>
  value === undefined ? undefined : JSON.stringify(value);

export const writeReadOnly = (sql: SqlStorage, mode: ReadOnlyMode | undefined): void =>
  writeSetting(sql, 'read_only', textOrNone(mode));
export const writeIssuers = (sql: SqlStorage, choice: IssuerChoice): void =>
  writeSetting(sql, 'issuers', textOrNone(choice));
export const writeDirectory = (sql: SqlStorage, settings: DirectorySettings): void =>
  writeSetting(sql, 'directory', textOrNone(settings));
/** @param url empty takes it away */
export const writeLearnMoreUrl = (sql: SqlStorage, url: string): void =>
  writeSetting(sql, 'learn_more_url', url === '' ? undefined : url);
export const writeDeviceTrustEnabled = (sql: SqlStorage, enabled: boolean): void =>
  writeSetting(sql, 'device_trust', textOrNone({ enabled }));
