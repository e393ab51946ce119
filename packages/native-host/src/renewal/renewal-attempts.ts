import { join } from 'node:path';
import { numericDate, parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { readPrivateFile, removePrivateFile, writePrivateFile } from '../state/private-file.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';
import type { RenewalAttempts } from './renewal-due.ts';

/** A file of its own: losing it costs one more try. */
const attemptsFile = z.strictObject({
  version: z.literal(1),
  failures: z.int().check(z.minimum(1), z.maximum(1_000_000)),
  last_at: numericDate,
  /** The code of the last failure, for `countersign status`. */
  last_code: z.string().check(z.maxLength(64)),
  /** A new key was sent, and whether the broker went over to it is not known: the same one is to be sent again. */
  rekey: z.optional(z.literal(true)),
});

const pathIn = (stateDirectory: string) => join(stateDirectory, 'renewal-attempts.json');

export type FailedAttempts = RenewalAttempts & {
  readonly lastCode: string;
  readonly rekeyIsOpen: boolean;
};

/** Tries that failed since the last renewal; `undefined` when there was none. */
export function readAttempts(stateDirectory: string): FailedAttempts | undefined {
  const bytes = readPrivateFile(pathIn(stateDirectory), 4096);
  const json = bytes.ok ? parseStrictJsonBytes(bytes.value) : bytes;
  const file = json.ok ? parseFields(attemptsFile, json.value) : json;
  if (!file.ok) return undefined;
  const { failures, last_at, last_code, rekey } = file.value;
  return {
    failures,
    lastAtSeconds: last_at,
    lastCode: last_code,
    rekeyIsOpen: rekey === true,
  };
}

/** Where it cannot be written, the next try only comes sooner. */
export function noteFailure(
  stateDirectory: string,
  code: string,
  nowSeconds: number,
  rekeyIsOpen: boolean,
): void {
  const file: z.infer<typeof attemptsFile> = {
    version: 1,
    failures: (readAttempts(stateDirectory)?.failures ?? 0) + 1,
    last_at: nowSeconds,
    last_code: code,
    ...(rekeyIsOpen ? { rekey: true } : {}),
  };
  writePrivateFile(pathIn(stateDirectory), Buffer.from(`${JSON.stringify(file)}\n`));
}

export function forgetFailures(stateDirectory: string): void {
  removePrivateFile(pathIn(stateDirectory));
}
