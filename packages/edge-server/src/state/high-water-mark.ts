import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { deviceMark, keyMark, organizationMark } from '@countersign/protocol/state';
import * as z from 'zod/mini';
import { replaceFile } from '../data-directory/durable-files.ts';
import { EdgeServerError, errorText, systemErrorCode } from '../edge-server-error.ts';
import type { StateMarks } from './read-marks.ts';

/**
 * The newest state of a data folder that is known for certain, kept outside of it: whoever puts an older folder back
 * does not put the mark back with it. Never newer than what is on the disk, so that it raises no false alarm.
 */
export const highWaterMark = z.object({
  version: z.literal(1),
  organization_id: z.string(),
  key_set_version: z.int(),
  organization: organizationMark,
  /** By shard; NULL for what could never be read. */
  shards: z.array(z.object({ device: z.nullable(deviceMark), key: z.nullable(keyMark) })),
});
export type HighWaterMark = z.infer<typeof highWaterMark>;

/**
 * @param dataDirectory absolute
 * @returns `undefined` for `none`
 */
export function markPathOf(chosen: string | undefined, dataDirectory: string): string | undefined {
  if (chosen === 'none') return undefined;
  return chosen === undefined ? `${dataDirectory}.high-water.json` : resolve(chosen);
}

/** @param previous what is kept for the objects that cannot be read now */
export function markOf(
  marks: StateMarks,
  keySetVersion: number,
  previous?: HighWaterMark,
): HighWaterMark {
  return {
    version: 1,
    organization_id: marks.organizationId,
    key_set_version: keySetVersion,
    organization: marks.organization,
    shards: marks.shards.map(({ device, key }, shard) => ({
      device: 'unreadable' in device ? (previous?.shards[shard]?.device ?? null) : device,
      key: 'unreadable' in key ? (previous?.shards[shard]?.key ?? null) : key,
    })),
  };
}

/**
 * @returns `undefined` when there is none
 * @throws EdgeServerError `high_water_mark_unusable`
 */
export function readHighWaterMark(path: string): HighWaterMark | undefined {
  const unusable = (why: string) =>
    new EdgeServerError(
      'high_water_mark_unusable',
      `${path} ${why}, so nobody can tell whether the data folder is an older copy. If you know that it is not, or want it back as it is: countersign-server confirm-restore.`,
    );
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw unusable(`cannot be read (${errorText(error)})`);
  }
  try {
    return z.parse(highWaterMark, JSON.parse(text));
  } catch {
    throw unusable('is damaged, or of another version');
  }
}

/** @throws EdgeServerError `high_water_mark_unusable` */
export function writeHighWaterMark(path: string, mark: HighWaterMark): void {
  try {
    replaceFile(path, `${JSON.stringify(mark)}\n`);
  } catch (error) {
    throw new EdgeServerError(
      'high_water_mark_unusable',
      `${path} cannot be written (${errorText(error)}). It notices an older copy of the data folder and must be outside of it: choose another place with --high-water-mark FILE, or do without with --high-water-mark none.`,
      { cause: error },
    );
  }
}
