import {
  auditCheckpointClaims,
  checkpointSet,
  keptCheckpointSet,
} from '@countersign/protocol/system-log';
import { decodeJwt } from 'jose';
import * as z from 'zod/mini';
import type { AdminClient } from '../client/admin-client.ts';
import { CommandError } from '../command-line/command.ts';
import { parseLine, readTextFile } from '../commands/read-input.ts';
import type { CheckpointKeys } from '../verify-audit/index.ts';

/** Checkpoints with the keys that verify them, and whose they are. */
export type KeptCheckpoints = {
  readonly issuer: string;
  readonly checkpoints: readonly string[];
  readonly keys: CheckpointKeys;
};

/** A line of a file of checkpoints. A delivery to a webhook, kept as it came, is one, too. */
const keptLine = z.object({
  ...keptCheckpointSet.shape,
  saved_at: z.optional(z.string()),
});

/** Whom a checkpoint says it is of; whether that is true is for the audit. */
function issuerOf(checkpoints: readonly string[]): string | undefined {
  const [first] = checkpoints;
  if (first === undefined) return undefined;
  try {
    return auditCheckpointClaims.parse(decodeJwt(first)).iss;
  } catch {
    return undefined;
  }
}

export async function fetchCheckpoints(client: AdminClient): Promise<KeptCheckpoints> {
  const { checkpoints, keys } = await client.get('/v1/admin/checkpoints', checkpointSet);
  return { issuer: issuerOf(checkpoints) ?? client.brokerUrl, checkpoints, keys };
}

export const keptText = ({ checkpoints, keys }: KeptCheckpoints, nowMs: number) =>
  `${JSON.stringify({ saved_at: new Date(nowMs).toISOString(), checkpoints, keys })}\n`;

/** @throws CommandError where a line is none: what was kept must not be passed over in silence */
export function readKeptCheckpoints(path: string): KeptCheckpoints {
  const kept = readTextFile(path)
    .split('\n')
    .map((text, index) => ({ text, number: index + 1 }))
    .filter(({ text }) => text.trim() !== '')
    .map(({ text, number }) => {
      const line = keptLine.safeParse(parseLine(text));
      if (line.success) return line.data;
      throw new CommandError(`${path}, line ${number}: there are no checkpoints in it`);
    });
  const checkpoints = kept.flatMap((line) => line.checkpoints);
  const issuer = issuerOf(checkpoints);
  if (issuer === undefined) throw new CommandError(`${path} holds no checkpoint`);
  return { issuer, checkpoints, keys: kept.flatMap(({ keys }) => keys) };
}
