import { encodeBase64url } from '@countersign/protocol';
import {
  type AuditCheckpointClaims,
  auditCheckpointTyp,
  type CheckpointChain,
  type CheckpointSet,
  chainsPerCheckpoint,
} from '@countersign/protocol/system-log';
import * as z from 'zod/mini';
import { encodeHeader, signCompactJws } from '../token/compact-jws.ts';
import type { SigningKeys } from '../token/token-key.ts';

/**
 * Checkpoints: signed heads of all chains. Kept where the broker cannot reach them, they show later what was changed or
 * cut off before them, whoever did it.
 */

const chainStart = z.object({ import_id: z.string() });

/** Every chain with rows, as far as its rows have come together here. */
export function readCheckpointChains(sql: SqlStorage): CheckpointChain[] {
  return sql
    .exec<{ chain: string; start: string | null; sequence: number; hash: ArrayBuffer }>(
      'SELECT chain, start, sequence, hash FROM chains WHERE sequence > 0 ORDER BY chain',
    )
    .toArray()
    .map(({ chain, start, sequence, hash }) => ({
      chain,
      ...(start === null ? {} : { began_with: chainStart.parse(JSON.parse(start)).import_id }),
      count: sequence,
      hash: encodeBase64url(new Uint8Array(hash)),
    }));
}

export type CheckpointSigner = {
  readonly brokerUrl: string;
  readonly auditKeys: SigningKeys;
};

export const noCheckpoints: CheckpointSet = { checkpoints: [], keys: [] };

/** As many JWSs as it takes to name every chain; none when there are no rows. With the keys that are accepted now. */
export async function signCheckpoints(
  chains: readonly CheckpointChain[],
  { brokerUrl, auditKeys }: CheckpointSigner,
  nowMs: number,
): Promise<CheckpointSet> {
  if (chains.length === 0) return noCheckpoints;
  const { active, accepted } = auditKeys;
  const header = encodeHeader(auditCheckpointTyp, active.kid);
  const parts = Array.from({ length: Math.ceil(chains.length / chainsPerCheckpoint) }, (_, part) =>
    chains.slice(part * chainsPerCheckpoint, (part + 1) * chainsPerCheckpoint),
  );
  const checkpoints = await Promise.all(
    parts.map((part) => {
      const claims: AuditCheckpointClaims = {
        iss: brokerUrl,
        iat: Math.floor(nowMs / 1000),
        chains: part,
      };
      return signCompactJws(header, claims, active.privateKey);
    }),
  );
  const keys = [...accepted.values()].map(({ kid, publicJwk }) => ({
    ...publicJwk,
    kid,
    purpose: 'audit' as const,
  }));
  return { checkpoints, keys };
}
