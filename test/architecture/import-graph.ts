// All imports of the code in the src folders, each led to the file or the library that it names.
import { dirname, join } from 'node:path/posix';
import { folderOfPackage } from './packages.ts';
import type { RepositoryFile } from './repository-files.ts';
import { scanImports } from './scan-imports.ts';

export type Edge = {
  from: string;
  line: number;
  specifier: string;
  typeOnly: boolean;
  /** The importing file is a test or a helper of tests. */
  isTest: boolean;
} & (
  | { to: string; library?: never }
  /** A package of npm with its subpath, or a module of the runtime (`node:fs`, `cloudflare:workers`). */
  | { library: string; to?: never }
);

export type ImportGraph = { edges: readonly Edge[] };

const sourceFile = /^(packages\/[^/]+|worker|extension)\/src\/.*\.tsx?$/;

export function buildImportGraph(files: readonly RepositoryFile[]): ImportGraph {
  const exportsOf = readExports(files);
  const edges = files
    .filter(({ path }) => sourceFile.test(path))
    .flatMap(({ path, text }) =>
      scanImports(path, text).map(({ specifier, line, typeOnly }): Edge => {
        const edge = { from: path, line, specifier, typeOnly, isTest: isTestFile(path) };
        if (specifier.startsWith('.')) return { ...edge, to: join(dirname(path), specifier) };
        const to = resolveWorkspaceImport(specifier, exportsOf);
        return to === undefined ? { ...edge, library: specifier } : { ...edge, to };
      }),
    );
  return { edges };
}

/** Tests lie beside the code, with their fakes; what several of them share lies in a folder `testing`. */
export const isTestFile = (path: string) =>
  /\.test\.tsx?$|\/testing\/|\/fake-[^/]+\.ts$/.test(path);

/** The `exports` of each manifest, by the package's folder. */
function readExports(files: readonly RepositoryFile[]): Map<string, Record<string, string>> {
  const manifests = files.filter(({ path }) => path.endsWith('/package.json'));
  return new Map(
    manifests.map(({ path, text }) => [dirname(path), JSON.parse(text).exports ?? {}]),
  );
}

/**
 * The file behind `@countersign/protocol/challenge`; undefined for what is no package of the workspace. A name
 * that the package does not export is led to its manifest, so that the rules see the package all the same.
 */
function resolveWorkspaceImport(
  specifier: string,
  exportsOf: ReadonlyMap<string, Record<string, string>>,
): string | undefined {
  const [scope, name, ...rest] = specifier.split('/');
  const folder = folderOfPackage(`${scope}/${name}`);
  if (folder === undefined) return undefined;
  const exported = exportsOf.get(folder) ?? {};
  const subpath = rest.join('/');
  const target =
    exported[subpath === '' ? '.' : `./${subpath}`] ?? exported['./*']?.replace('*', subpath);
  return join(folder, target ?? 'package.json');
}
