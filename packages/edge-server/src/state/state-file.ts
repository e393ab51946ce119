import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import {
  exportId,
  stateObjects,
  stateSchemas,
  stateSection,
  stateTables,
} from '@countersign/protocol/state';
import * as z from 'zod/mini';
import { highWaterMark } from './high-water-mark.ts';
import { sealedKeys } from './sealed-keys.ts';

/**
 * The file of an export: JSON lines, of which each names the SHA-256 of the one before, so that a changed, missing or
 * foreign line shows where it is. The last line is signed with the organization's key for key sets, in earlier versions
 * with its root key: who could write the file and has no keys cannot make it say something else.
 */

export const stateFileFormat = 'countersign-state';
export const stateFileVersion = 1;

const after = z.string();

export const headerLine = z.strictObject({
  type: z.literal('header'),
  format: z.literal(stateFileFormat),
  version: z.literal(stateFileVersion),
  export_id: exportId,
  /** RFC 3339. */
  created_at: z.string(),
  organization_id: z.string(),
  shard_count: z.int().check(z.minimum(1)),
  schemas: stateSchemas,
  /** The state when the export began: decisions are in here as far as this, everything else at least. */
  mark: highWaterMark,
  keys: sealedKeys,
  after,
});
export type HeaderLine = z.infer<typeof headerLine>;

export const pageLine = z.strictObject({
  type: z.literal('page'),
  object: z.enum(stateObjects),
  shard: z.int(),
  section: stateSection,
  tables: stateTables,
  after,
});
export type PageLine = z.infer<typeof pageLine>;

export const endLine = z.strictObject({
  type: z.literal('end'),
  pages: z.int(),
  /** Rows by `<object>.<table>`. */
  rows: z.record(z.string(), z.int()),
  after,
  /** ECDSA P-256 with SHA-256, base64url. */
  signature: z.string(),
});
export type EndLine = z.infer<typeof endLine>;

export const firstAfter = '';

export function hashOfLine(line: string): string {
  return createHash('sha256').update(line, 'utf8').digest('base64url');
}

const signed = (end: Omit<EndLine, 'signature'>) =>
  Buffer.from(`countersign-state-v1\0${JSON.stringify([end.after, end.pages, end.rows])}`);

export function signEnd(end: Omit<EndLine, 'signature'>, signer: KeyObject): EndLine {
  const signature = sign('sha256', signed(end), { key: signer, dsaEncoding: 'ieee-p1363' });
  return { ...end, signature: signature.toString('base64url') };
}

/** @param certificatePem of the signer */
export function isSignedBy({ signature, ...end }: EndLine, certificatePem: string): boolean {
  return verify(
    'sha256',
    signed(end),
    { key: createPublicKey(certificatePem), dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
}
