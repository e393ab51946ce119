import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { FailOpenStore } from '@countersign/sso-sdk/server';

/**
 * Keeps what the SDK needs across restarts in a file of this server alone: whoever can write it decides whether people are
 * let in during an outage.
 */
export function failOpenFile(path: string): FailOpenStore {
  return {
    load: async () => (existsSync(path) ? await readFile(path, 'utf8') : undefined),
    save: async (text) => {
      const unfinished = `${path}.unfinished`;
      await writeFile(unfinished, text, { mode: 0o600, flush: true });
      await rename(unfinished, path);
    },
  };
}
