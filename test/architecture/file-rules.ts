// Rules about files and manifests that no import shows.
import { dirname } from 'node:path/posix';
import { testsOnlyPackage, type Violation, workspaceDependencies } from './import-rules.ts';
import { folderOfPackage } from './packages.ts';
import type { RepositoryFile } from './repository-files.ts';

export const longestFileLines = 400;

const codeFile = /\.(ts|tsx|js|mjs|css|html)$/;

export function checkLengths(files: readonly RepositoryFile[]): Violation[] {
  return files
    .filter(({ path }) => codeFile.test(path))
    .map(({ path, text }) => ({ path, lines: text.replace(/\n$/, '').split('\n').length }))
    .filter(({ lines }) => lines > longestFileLines)
    .map(({ path, lines }) => ({
      where: path,
      reason: `${lines} lines; a file is read in one sitting, ${longestFileLines} at most`,
    }));
}

/** Paths that exist on one machine only. */
const machinePath = /(^|[^\w.$}-])\/(work\/(main|shared|steering)|farm|root|tmp\/bash_jobs)\b/;

export function checkMachinePaths(files: readonly RepositoryFile[]): Violation[] {
  return files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, index) =>
        machinePath.test(line)
          ? [{ where: `${path}:${index + 1}`, reason: 'a path of one machine' }]
          : [],
      ),
  );
}

const registryHost =
  /"resolved":\s*"https?:|tarball:\s*['"]?https?:|registry\s*[=:]\s*['"]?https?:/;

/** Lockfiles and npm's and pnpm's settings, which have to work with any registry. */
export function checkRegistryHosts(files: readonly RepositoryFile[]): Violation[] {
  return files
    .filter(({ path }) =>
      /(package-lock\.json|pnpm-lock\.yaml|pnpm-workspace\.yaml|\.npmrc)$/.test(path),
    )
    .flatMap(({ path, text }) =>
      text
        .split('\n')
        .flatMap((line, index) =>
          registryHost.test(line)
            ? [{ where: `${path}:${index + 1}`, reason: 'names the host of a registry' }]
            : [],
        ),
    );
}

/** Two versions of workerd would mean tests against another runtime than the one that ships. */
export function checkOneRuntime(files: readonly RepositoryFile[]): Violation[] {
  return files
    .filter(({ path }) => path === 'pnpm-lock.yaml')
    .flatMap(({ path, text }) => {
      const versions = new Set(text.match(/^ {2}workerd@[^:(]+/gm));
      return versions.size > 1
        ? [{ where: path, reason: `${versions.size} versions of workerd; there must be one` }]
        : [];
    });
}

type Dependency = { kind: string; name: string; version: string };

function dependenciesOf(text: string): Dependency[] {
  const manifest = JSON.parse(text);
  return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
    Object.entries(manifest[kind] ?? {}).map(([name, version]) => ({
      kind,
      name,
      version: String(version),
    })),
  );
}

/** Every version is exact, and packages depend on each other as the table says. */
export function checkManifests(files: readonly RepositoryFile[]): Violation[] {
  return files
    .filter(({ path }) => /(^|\/)package\.json$/.test(path))
    .flatMap(({ path, text }) =>
      dependenciesOf(text)
        .map((dependency) => problemOf(dirname(path), dependency))
        .filter((reason) => reason !== undefined)
        .map((reason) => ({ where: path, reason })),
    );
}

function problemOf(folder: string, { kind, name, version }: Dependency): string | undefined {
  const dependency = folderOfPackage(name);
  if (dependency === undefined) {
    return /^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)
      ? undefined
      : `${name} must be pinned to one version, not '${version}'`;
  }
  if (version !== 'workspace:*') return `${name} must be 'workspace:*'`;
  if (folder === 'test' || folder === '.') return undefined;
  if (dependency === testsOnlyPackage) {
    return kind === 'devDependencies' ? undefined : `${name} is for tests alone`;
  }
  const allowed = workspaceDependencies[folder];
  if (allowed === undefined) return 'this package is not in the table of packages';
  return allowed.includes(dependency) ? undefined : `the table of packages does not allow ${name}`;
}
