import { join } from 'node:path';
import { type PostureSwitches, postureSwitches } from '@countersign/protocol/posture';
import { numericDate, parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { readPrivateFile, writePrivateFile } from '../state/private-file.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';

/** What was measured last. Nobody but its owner can write the file; losing it costs one more measurement. */
const keptFile = z.strictObject({
  version: z.literal(1),
  measured_at: numericDate,
  ...postureSwitches,
});

export type MeasuredPosture = PostureSwitches & { readonly measured_at: number };

const pathIn = (stateDirectory: string) => join(stateDirectory, 'posture.json');

/** `undefined` where there is none, where others could have written it, or where it is of a time to come. */
export function readKeptPosture(
  stateDirectory: string,
  nowSeconds: number,
): MeasuredPosture | undefined {
  const bytes = readPrivateFile(pathIn(stateDirectory), 4096);
  const json = bytes.ok ? parseStrictJsonBytes(bytes.value) : bytes;
  const file = json.ok ? parseFields(keptFile, json.value) : json;
  if (!file.ok || file.value.measured_at > nowSeconds) return undefined;
  const { version: _, ...measured } = file.value;
  return measured;
}

/** Where it cannot be written, the next sign-in measures anew. */
export function keepPosture(stateDirectory: string, measured: MeasuredPosture): void {
  const file: z.infer<typeof keptFile> = { version: 1, ...measured };
  writePrivateFile(pathIn(stateDirectory), Buffer.from(`${JSON.stringify(file)}\n`));
}
