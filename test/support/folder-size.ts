import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes of every file below a folder, by path. */
export function fileSizes(folder: string): Record<string, number> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const sizes = names.map((name) => [name, statSync(join(folder, name))] as const);
  return Object.fromEntries(
    sizes.filter(([, facts]) => facts.isFile()).map(([name, facts]) => [name, facts.size]),
  );
}
