// The files of the repository: all that .gitignore does not leave out.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type RepositoryFile = {
  /** From the top of the repository, with forward slashes. */
  path: string;
  text: string;
};

/** Tells the paths that .gitignore leaves out; knows names, folders and `*.ending`, which is all that it uses. */
export function ignoredBy(gitignore: string): (path: string) => boolean {
  const lines = gitignore.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const patterns = lines.map((line) => line.replace(/\/$/, ''));
  return (path) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return patterns.some((pattern) => {
      if (pattern.startsWith('*')) return name.endsWith(pattern.slice(1));
      return pattern.includes('/') ? path === pattern : name === pattern;
    });
  };
}

const binaryFile = /\.(png|ico|der|crx|zip|pem|key|sqlite|capnp\.bin|woff2?)$/;

export function readRepository(top: string): RepositoryFile[] {
  const isIgnored = ignoredBy(readFileSync(join(top, '.gitignore'), 'utf8'));
  const walk = (folder: string): string[] =>
    readdirSync(join(top, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.name === '.git' || isIgnored(path)) return [];
      if (entry.isDirectory()) return walk(path);
      return entry.isFile() && !binaryFile.test(path) ? [path] : [];
    });
  return walk('').map((path) => ({ path, text: readFileSync(join(top, path), 'utf8') }));
}
