import { readFileSync, rmSync } from 'node:fs';
import * as z from 'zod/mini';
import { replaceFile } from '../data-directory/durable-files.ts';
import { systemErrorCode } from '../edge-server-error.ts';
import { type TokenKeyPurpose, tokenKeyPurposes } from './token-keys.ts';

/** What somebody asks of the server that runs on a data folder, by a file in it: only its owner can write there. */
export type RotationRequest = {
  readonly purposes: readonly TokenKeyPurpose[];
  /** Uses the new keys as soon as that is safe, instead of when all devices know them. */
  readonly atOnce: boolean;
};

const requestFile = z.strictObject({
  purposes: z.array(z.enum(tokenKeyPurposes)).check(z.minLength(1)),
  at_once: z.boolean(),
});

export function writeRotationRequest(path: string, { purposes, atOnce }: RotationRequest): void {
  const file: z.infer<typeof requestFile> = { purposes: [...purposes], at_once: atOnce };
  replaceFile(path, `${JSON.stringify(file)}\n`);
}

/** The request that waits; `malformed` for a file that is none. */
export function readRotationRequest(path: string): RotationRequest | 'malformed' | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const file = z.parse(requestFile, JSON.parse(text));
    return { purposes: file.purposes, atOnce: file.at_once };
  } catch {
    return 'malformed';
  }
}

export function removeRotationRequest(path: string): void {
  rmSync(path, { force: true });
}
