// Who may import whom: the tables and rules here are the ones of ARCHITECTURE.md.

import { type Edge, type ImportGraph, isTestFile } from './import-graph.ts';
import { packageOf } from './packages.ts';

export type Violation = {
  /** `path:line`, or the path alone where no line is to blame. */
  where: string;
  reason: string;
};

/** Which packages of the workspace a package may use, in its manifest and in its code. */
export const workspaceDependencies: Readonly<Record<string, readonly string[]>> = {
  'packages/protocol': [],
  'packages/x509': [],
  'packages/policy': ['packages/protocol'],
  'packages/native-host': ['packages/protocol', 'packages/x509'],
  'packages/sso-sdk': ['packages/protocol'],
  'packages/edge-server': ['packages/protocol', 'packages/x509'],
  // The edge server's, for what needs a data folder: loaded by those commands alone (ADR 17).
  'packages/admin-cli': [
    'packages/edge-server',
    'packages/policy',
    'packages/protocol',
    'packages/x509',
  ],
  'packages/sample-sso': ['packages/sso-sdk'],
  'packages/testkit': ['packages/protocol', 'packages/x509'],
  worker: ['packages/policy', 'packages/protocol', 'packages/x509'],
  extension: ['packages/protocol'],
};

/** For tests alone: `*.test.ts` and `testing/` beside the code, and what lies in `test/`. */
export const testsOnlyPackage = 'packages/testkit';

/** The libraries of the packages that may have only these; others may use what their manifest declares. */
const onlyLibraries: Readonly<Record<string, RegExp>> = {
  'packages/policy': /^(zod\/mini|ipaddr\.js)$/,
  'packages/protocol': /^zod\/mini$/,
  'packages/x509': /^$/,
  'packages/sample-sso':
    /^(node:.+|esbuild|hono(\/.+)?|@hono\/node-server(\/.+)?|@simplewebauthn\/(browser|server)|zod\/mini)$/,
};

type Rule = { reason: string; breaks: (edge: Edge) => boolean };

const inWorker = (path: string | undefined, parts: RegExp) =>
  path?.startsWith('worker/src/') === true && parts.test(path.slice('worker/src/'.length));

/** Only `importers` (and the part itself) may import a part of the worker. */
const guard = (reason: string, part: RegExp, importers: RegExp): Rule => ({
  reason,
  breaks: ({ from, to }) =>
    inWorker(to, part) && !inWorker(from, part) && !inWorker(from, importers),
});

/** For all code in a `src` folder, its tests included. */
const rulesForAll: readonly Rule[] = [
  {
    reason: 'a package is imported by its name, never by a path into it',
    breaks: ({ from, to, specifier }) =>
      specifier.startsWith('.') && to !== undefined && packageOf(from) !== packageOf(to),
  },
  {
    reason: 'the table of packages does not allow this import',
    breaks: ({ from, to, isTest }) => {
      const [importer, imported] = [packageOf(from), to === undefined ? undefined : packageOf(to)];
      if (importer === undefined || imported === undefined || imported === importer) return false;
      if (isTest && imported === testsOnlyPackage) return false;
      return workspaceDependencies[importer]?.includes(imported) !== true;
    },
  },
];

/** For the code that ships. */
const rulesForCode: readonly Rule[] = [
  {
    reason: 'testkit is for tests alone',
    breaks: ({ from, to }) =>
      to?.startsWith(`${testsOnlyPackage}/`) === true && packageOf(from) !== testsOnlyPackage,
  },
  {
    reason: 'code that ships imports no test, no fake and no helper of tests',
    breaks: ({ from, to }) =>
      to !== undefined && isTestFile(to) && packageOf(from) !== testsOnlyPackage,
  },
  {
    reason: 'this package may not use this library',
    breaks: ({ from, library }) =>
      library !== undefined && onlyLibraries[packageOf(from) ?? '']?.test(library) === false,
  },
  {
    reason: 'code that ships uses zod/mini, a small part of the size of zod',
    breaks: ({ library }) => library === 'zod',
  },
  {
    reason: '@peculiar is for the host (as a keystore) and for tests, too large for anything else',
    breaks: ({ from, library }) =>
      /^(@peculiar\/|reflect-metadata$)/.test(library ?? '') &&
      !['packages/native-host', testsOnlyPackage].includes(packageOf(from) ?? ''),
  },
  {
    reason:
      'only browser-api.ts reaches the browser: what it declares is held against what browsers support',
    breaks: ({ from, library }) =>
      from.startsWith('extension/') &&
      from !== 'extension/src/browser-api.ts' &&
      /^(webextension-polyfill|wxt\/browser)/.test(library ?? ''),
  },
  {
    reason: 'the extension runs where there is no Node',
    breaks: ({ from, library }) =>
      from.startsWith('extension/') && library?.startsWith('node:') === true,
  },
  {
    reason: 'policy/ is pure: it imports its own folder, policy, protocol and zod/mini',
    breaks: ({ from, to, library }) =>
      inWorker(from, /^policy\//) &&
      library !== 'zod/mini' &&
      (library !== undefined ||
        !(
          inWorker(to, /^policy\//) ||
          ['packages/policy', 'packages/protocol'].includes(packageOf(to ?? '') ?? '')
        )),
  },
  guard(
    'ca/ is called only from enrollment/, device/ and revocation/ (index.ts and config/ pass it values)',
    /^ca\//,
    /^(enrollment|device|revocation|config)\/|^index\.ts$/,
  ),
  guard('only index.ts imports http/', /^http\//, /^index\.ts$/),
  guard(
    'only index.ts and *-object.ts import config/; others receive values',
    /^config\//,
    /^index\.ts$|-object\.ts$/,
  ),
  {
    reason: 'only index.ts and *-object.ts import cloudflare:workers',
    breaks: ({ from, library }) =>
      library?.startsWith('cloudflare:') === true && !inWorker(from, /^index\.ts$|-object\.ts$/),
  },
];

const whereIs = ({ from, line }: Edge) => `${from}:${line}`;

export function checkImports(graph: ImportGraph): Violation[] {
  return graph.edges.flatMap((edge) => {
    const rules = edge.isTest ? rulesForAll : [...rulesForAll, ...rulesForCode];
    return rules
      .filter((rule) => rule.breaks(edge))
      .map(({ reason }) => ({ where: whereIs(edge), reason: `${reason}: '${edge.specifier}'` }));
  });
}

/** The modules that run inside the sign-in page; all that they load with them is part of what a page downloads. */
const pageEntry = 'packages/sso-sdk/src/page.ts';

/**
 * What the sign-in page downloads: the SDK's page part, and of protocol the types, codes and formats that need no
 * library. Follows all imports that are still there at run time.
 */
export function checkPagePart({ edges }: ImportGraph): Violation[] {
  const violations: Violation[] = [];
  const reached = new Set([pageEntry]);
  for (const path of reached) {
    for (const edge of edges.filter(({ from, typeOnly }) => from === path && !typeOnly)) {
      if (edge.library === undefined) reached.add(edge.to);
      else {
        const reason = `the page part of the SDK would load the library '${edge.library}'`;
        violations.push({ where: whereIs(edge), reason });
      }
    }
  }
  return violations;
}
