import { existsSync, readFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { replaceFile } from './durable-files.ts';
import type { DataPaths } from './layout.ts';
import { parseDataFile } from './parse-data-file.ts';

/**
 * `served.json`: what a server on this folder was last told and other programs on it must know as well. A broker that
 * runs for a command alone may publish a revocation list, which says where it is.
 */
const servedFile = z.object({ version: z.literal(1), pki_url: z.optional(z.string()) });

export type ServedSettings = {
  /** `undefined`: the broker URL. */
  readonly pkiUrl: string | undefined;
};

/** `undefined` before a folder is served for the first time. @throws EdgeServerError `data_directory_unusable` */
export function readServedSettings({ served }: DataPaths): ServedSettings | undefined {
  if (!existsSync(served)) return undefined;
  return { pkiUrl: parseDataFile(servedFile, readFileSync(served, 'utf8'), served).pki_url };
}

export function writeServedSettings({ served }: DataPaths, { pkiUrl }: ServedSettings): void {
  const file = { version: 1, ...(pkiUrl === undefined ? {} : { pki_url: pkiUrl }) };
  replaceFile(served, `${JSON.stringify(file)}\n`);
}
