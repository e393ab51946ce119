import { join } from 'node:path';
import type { KeySetClaims } from '@countersign/protocol/key-set';
import { numericDate, parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import type { Enrollment } from '../enrollment/enrollment-record.ts';
import { type Result, succeed } from '../result.ts';
import {
  type PrivateFileReason,
  readPrivateFile,
  writePrivateFile,
} from '../state/private-file.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';
import { maxKeySetBytes, verifyKeySet } from './verify-key-set.ts';

/** A file of its own: losing it costs one more request, and the enrollment still knows which version was reached. */
const storedKeySetFile = z.strictObject({
  version: z.literal(1),
  /** Compact JWS. */
  key_set: z.string().check(z.maxLength(maxKeySetBytes)),
  /** When the broker last gave it. */
  fetched_at: numericDate,
});

export type StoredKeySet = {
  readonly claims: KeySetClaims;
  readonly fetchedAtSeconds: number;
};

function pathIn(stateDirectory: string): string {
  return join(stateDirectory, 'key-set.json');
}

/** The key set kept on this device, verified again; `undefined` when there is none that holds. */
export function readStoredKeySet(
  stateDirectory: string,
  enrollment: Enrollment,
): StoredKeySet | undefined {
  const bytes = readPrivateFile(pathIn(stateDirectory), 2 * maxKeySetBytes);
  const json = bytes.ok ? parseStrictJsonBytes(bytes.value) : bytes;
  const file = json.ok ? parseFields(storedKeySetFile, json.value) : json;
  if (!file.ok) return undefined;
  const claims = verifyKeySet(file.value.key_set, {
    rootCertificate: enrollment.rootCertificate,
    organizationId: enrollment.organizationId,
    brokerUrl: enrollment.brokerUrl,
    lowestVersion: enrollment.keySetVersion,
  });
  return claims.ok ? { claims: claims.value, fetchedAtSeconds: file.value.fetched_at } : undefined;
}

/** Keeps a key set that was just verified. */
export function writeStoredKeySet(
  stateDirectory: string,
  keySet: string,
  fetchedAtSeconds: number,
): Result<undefined, PrivateFileReason> {
  const file: z.infer<typeof storedKeySetFile> = {
    version: 1,
    key_set: keySet,
    fetched_at: fetchedAtSeconds,
  };
  const written = writePrivateFile(
    pathIn(stateDirectory),
    Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`),
  );
  return written.ok ? succeed(undefined) : written;
}
