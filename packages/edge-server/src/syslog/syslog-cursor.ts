import { readFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { replaceFile } from '../data-directory/durable-files.ts';

/** How far the receiver has got the log: a file in the data folder, replaced as a whole. */
const cursorFile = z.object({
  version: z.literal(1),
  /** Another receiver has got nothing. */
  receiver: z.string(),
  /** Of `GET /v1/admin/log`; absent before the first event. */
  cursor: z.optional(z.string()),
  /** When the newest event that was sent was recorded: where to go on when the cursor means nothing any more. */
  newest_published: z.optional(z.string()),
});
export type SyslogCursor = Omit<z.infer<typeof cursorFile>, 'version' | 'receiver'>;

/** Nothing, for a file that is missing, damaged, or of another receiver: everything is sent then. */
export function readSyslogCursor(path: string, receiver: string): SyslogCursor {
  try {
    const file = z.parse(cursorFile, JSON.parse(readFileSync(path, 'utf8')));
    if (file.receiver !== receiver) return {};
    const { cursor, newest_published } = file;
    return {
      ...(cursor === undefined ? {} : { cursor }),
      ...(newest_published === undefined ? {} : { newest_published }),
    };
  } catch {
    return {};
  }
}

export function writeSyslogCursor(path: string, receiver: string, cursor: SyslogCursor): void {
  replaceFile(path, `${JSON.stringify({ version: 1, receiver, ...cursor })}\n`);
}
