import { statSync } from 'node:fs';
import { join } from 'node:path';
import { parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { fail, type Result, succeed } from '../../result.ts';
import { readPrivateFile, writePrivateFile } from '../../state/private-file.ts';
import { parseStrictJsonBytes } from '../../strict-json.ts';
import type { TokenReason } from '../keystore.ts';

const maxPinBytes = 256;
const maxFileBytes = 4096;

/** The PIN in the file, without the line break that an editor may have put behind it. */
export function readPin(path: string): Result<Uint8Array, TokenReason> {
  const bytes = readPrivateFile(path, maxPinBytes + 2);
  if (!bytes.ok) return fail('keystore_pin_unreadable', `keystore.pin_file: ${bytes.detail}`);
  const text = Buffer.from(bytes.value)
    .toString('latin1')
    .replace(/\r?\n$/, '');
  return text === ''
    ? fail('keystore_pin_unreadable', `keystore.pin_file: ${path} is empty`)
    : succeed(Buffer.from(text, 'latin1'));
}

/**
 * Each sign-in starts the host anew. So that a wrong PIN does not lock the token, a PIN that a token has refused is on
 * record, by token and by the file as it was: it is tried again only after the file was written anew.
 */
const refusedPinFile = z.strictObject({
  version: z.literal(1),
  token_serial_number: z.string(),
  pin_file: z.string(),
});

export class RefusedPins {
  readonly #path: string;
  readonly #pinFile: string;

  constructor(stateDirectory: string, pinFile: string) {
    this.#path = join(stateDirectory, 'refused-pin.json');
    this.#pinFile = pinFile;
  }

  includes(tokenSerialNumber: string): boolean {
    const bytes = readPrivateFile(this.#path, maxFileBytes);
    const json = bytes.ok ? parseStrictJsonBytes(bytes.value) : bytes;
    const file = json.ok ? parseFields(refusedPinFile, json.value) : json;
    return (
      file.ok &&
      file.value.token_serial_number === tokenSerialNumber &&
      file.value.pin_file === this.#fileAsItIs()
    );
  }

  /** @returns what went wrong, in words, when it cannot be kept on record */
  add(tokenSerialNumber: string): string | undefined {
    const file: z.infer<typeof refusedPinFile> = {
      version: 1,
      token_serial_number: tokenSerialNumber,
      pin_file: this.#fileAsItIs(),
    };
    const written = writePrivateFile(this.#path, Buffer.from(`${JSON.stringify(file)}\n`));
    return written.ok ? undefined : written.detail;
  }

  /** Changes whenever the file is written or replaced. Says nothing about the PIN. */
  #fileAsItIs(): string {
    const facts = statSync(this.#pinFile, { bigint: true, throwIfNoEntry: false });
    return `${this.#pinFile} ${facts?.dev} ${facts?.ino} ${facts?.ctimeNs}`;
  }
}
