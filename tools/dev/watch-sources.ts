import { existsSync, readdirSync, watch } from 'node:fs';
import { join, relative } from 'node:path';

/** Editors write a file in several steps. */
const quietMs = 60;

/** Folders with code that goes into the broker, the host or the edge server. */
function sourceFolders(root: string): string[] {
  const packages = readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name));
  return [join(root, 'worker'), ...packages]
    .map((folder) => join(folder, 'src'))
    .filter((folder) => existsSync(folder));
}

/**
 * Calls `onChange` with the changed files, relative to the root, once it is quiet again. Calls do not overlap.
 *
 * @returns ends the watch
 */
export function watchSources(
  root: string,
  onChange: (files: readonly string[]) => Promise<void>,
): () => void {
  let changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  const watchers = sourceFolders(root).map((folder) =>
    watch(folder, { recursive: true }, (_event, name) => {
      if (name === null || !name.endsWith('.ts') || name.endsWith('.test.ts')) return;
      changed.add(relative(root, join(folder, name)));
      clearTimeout(timer);
      timer = setTimeout(() => {
        const files = [...changed];
        changed = new Set();
        running = running.then(() => onChange(files));
      }, quietMs);
    }),
  );
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
