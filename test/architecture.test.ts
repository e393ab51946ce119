// The shape of the repository, enforced: who imports whom, what a manifest may name, how long a file may be.
// Each rule is first shown to catch a small bad sample, so that a rule that stopped working is noticed.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  checkLengths,
  checkMachinePaths,
  checkManifests,
  checkOneRuntime,
  checkRegistryHosts,
  longestFileLines,
} from './architecture/file-rules.ts';
import { buildImportGraph } from './architecture/import-graph.ts';
import { checkImports, checkPagePart, type Violation } from './architecture/import-rules.ts';
import { ignoredBy, type RepositoryFile, readRepository } from './architecture/repository-files.ts';
import { scanImports } from './architecture/scan-imports.ts';

const top = dirname(dirname(fileURLToPath(import.meta.url)));

const protocolManifest = {
  path: 'packages/protocol/package.json',
  text: '{"exports":{".":"./src/index.ts","./*":"./src/*.ts"}}',
};

/** The violations of files given as path and text, beside a manifest of protocol. */
const importsOf = (...files: [path: string, text: string][]) =>
  checkImports(graphOf(...files)).map(({ where, reason }) => `${where} ${reason}`);
const graphOf = (...files: [path: string, text: string][]) =>
  buildImportGraph([protocolManifest, ...files.map(([path, text]) => ({ path, text }))]);

describe('the repository', () => {
  const files = readRepository(top);
  const graph = buildImportGraph(files);

  it('was read', () => {
    expect(files.map(({ path }) => path)).toContain('test/architecture.test.ts');
    expect(graph.edges.map(({ from }) => from)).toContain('packages/protocol/src/index.ts');
  });

  const checks: Record<string, (files: readonly RepositoryFile[]) => Violation[]> = {
    'imports only what the import rules allow': () => checkImports(graph),
    'lets the sign-in page load no library': () => checkPagePart(graph),
    'has no long files': checkLengths,
    'names no path of one machine': checkMachinePaths,
    'names no host of a registry': checkRegistryHosts,
    'has one version of workerd': checkOneRuntime,
    'has manifests as the table of packages says': checkManifests,
  };
  it.each(Object.entries(checks))('%s', (_, check) => {
    expect(check(files).map(({ where, reason }) => `${where} ${reason}`)).toEqual([]);
  });
});

describe('the import rules', () => {
  it.each<[rule: string, path: string, text: string]>([
    ['protocol imports no package', 'packages/protocol/src/a.ts', "import '@countersign/x509';"],
    ['protocol imports only zod/mini', 'packages/protocol/src/a.ts', "import 'jose';"],
    ['protocol runs without Node', 'packages/protocol/src/a.ts', "import 'node:fs';"],
    ['x509 imports nothing', 'packages/x509/src/a.ts', "import '@countersign/protocol';"],
    ['x509 uses no library', 'packages/x509/src/a.ts', "import 'zod/mini';"],
    ['SDK imports only protocol', 'packages/sso-sdk/src/server.ts', "import '@countersign/x509';"],
    [
      'sample imports only the SDK',
      'packages/sample-sso/src/a.ts',
      "import '@countersign/protocol';",
    ],
    ['sample uses few libraries', 'packages/sample-sso/src/a.ts', "import 'jose';"],
    ['extension imports only protocol', 'extension/src/a.ts', "import '@countersign/sso-sdk';"],
    ['extension runs without Node', 'extension/src/a.ts', "import 'node:fs';"],
    ['one way to the browser', 'extension/src/a.ts', "import 'webextension-polyfill';"],
    ['and no other', 'extension/src/a.ts', "import { browser } from 'wxt/browser';"],
    ['worker imports no host', 'worker/src/a.ts', "import '@countersign/native-host';"],
    ['no helper of tests in what ships', 'worker/src/a.ts', "import './testing/b.ts';"],
    ['no fake in what ships', 'extension/src/a.ts', "import './fake-browser.ts';"],
    ['testkit is for tests', 'packages/native-host/src/a.ts', "import '@countersign/testkit';"],
    ['no path into a package', 'worker/src/a.ts', "import '../../packages/protocol/src/a.ts';"],
    ['no plain zod', 'worker/src/a.ts', "import * as z from 'zod';"],
    ['no @peculiar in the worker', 'worker/src/ca/a.ts', "import '@peculiar/x509';"],
    ['policy imports no library', 'worker/src/policy/a.ts', "import 'hono';"],
    ['policy imports no other part', 'worker/src/policy/a.ts', "import '../device/b.ts';"],
    ['policy imports no x509', 'worker/src/policy/a.ts', "import '@countersign/x509';"],
    ['ca is not for challenge', 'worker/src/challenge/a.ts', "import '../ca/b.ts';"],
    ['ca is not for http', 'worker/src/http/a.ts', "import type { A } from '../ca/b.ts';"],
    ['http is for index.ts', 'worker/src/admin/a.ts', "import '../http/problem.ts';"],
    ['config is not for use cases', 'worker/src/device/a.ts', "import '../config/b.ts';"],
    [
      'cloudflare:workers is not for use cases',
      'worker/src/device/a.ts',
      "import 'cloudflare:workers';",
    ],
  ])('%s', (_, path, text) => {
    const violations = importsOf([path, `\n${text}`]);
    expect(violations).not.toEqual([]);
    for (const violation of violations) expect(violation).toMatch(`${path}:2 `);
  });

  it('allow what they should', () => {
    const allowed = importsOf(
      ['packages/protocol/src/a.ts', "import * as z from 'zod/mini'; import './b.ts';"],
      ['packages/sample-sso/src/a.ts', "import '@countersign/sso-sdk/server'; import 'hono';"],
      ['packages/native-host/src/a.ts', "import '@countersign/x509'; import '@peculiar/x509';"],
      [
        'worker/src/index.ts',
        "import './http/app.ts'; import './ca/b.ts'; import './config/c.ts';",
      ],
      [
        'worker/src/device/device-object.ts',
        "import '../config/c.ts'; import 'cloudflare:workers';",
      ],
      ['worker/src/enrollment/a.ts', "import '../ca/b.ts';"],
      ['worker/src/ca/a.ts', "import './b.ts'; import '@countersign/x509';"],
      ['worker/src/policy/a.ts', "import './b.ts'; import '@countersign/protocol/reason-codes';"],
      ['worker/src/policy/a.test.ts', "import 'node:fs'; import '@countersign/testkit';"],
      ['packages/testkit/src/index.ts', "export * from './fake-device.ts';"],
      ['worker/src/testing/b.ts', "import '@countersign/testkit'; import './c.ts';"],
      ['extension/src/a.ts', "import '@countersign/protocol/challenge';"],
    );
    expect(allowed).toEqual([]);
  });

  it('hold for tests too where packages are concerned', () => {
    expect(
      importsOf(['packages/x509/src/a.test.ts', "import '@countersign/worker';"]),
    ).toHaveLength(1);
  });

  it('follow what the sign-in page loads through all modules, and not through types', () => {
    const page = 'packages/sso-sdk/src/page.ts';
    const index: [string, string] = [
      'packages/protocol/src/index.ts',
      "export * from './codes.ts';",
    ];
    const reached = (text: string, codes: string) =>
      checkPagePart(graphOf([page, text], index, ['packages/protocol/src/codes.ts', codes]));
    const root = "import { a } from '@countersign/protocol';";
    expect(reached(root, "import 'zod/mini';")).toMatchObject([
      { where: 'packages/protocol/src/codes.ts:1' },
    ]);
    expect(reached("import { jwtVerify } from 'jose';", '')).toMatchObject([
      { where: `${page}:1` },
    ]);
    expect(reached(root, "import type { A } from './schemas.ts';")).toEqual([]);
  });
});

describe('the import scanner', () => {
  const scan = (text: string) =>
    scanImports('a.ts', text).map(({ specifier, typeOnly }) => [specifier, typeOnly]);

  it('finds every form of import', () => {
    expect(
      scan("import 'a'; import b from 'b'; export * from 'c'; export { d } from 'd';"),
    ).toEqual([
      ['a', false],
      ['b', false],
      ['c', false],
      ['d', false],
    ]);
    expect(scan("const e = await import('e'); const f = require('f');")).toEqual([
      ['e', false],
      ['f', false],
    ]);
  });

  it('tells what is erased before the code runs from what is not', () => {
    expect(
      scan("import type { A } from 'a'; export type { B } from 'b'; type C = import('c').C;"),
    ).toEqual([
      ['a', true],
      ['b', true],
      ['c', true],
    ]);
    expect(scan("import { type A } from 'a';")).toEqual([['a', false]]);
  });

  it('is not misled by comments, strings and regular expressions', () => {
    expect(
      scan("// import 'a'\nconst b = \"import 'b'\"; const c = /import 'c'/; /* import 'd' */"),
    ).toEqual([]);
  });

  it('gives the line', () => {
    expect(scanImports('a.ts', "\n\nimport 'a';")[0]?.line).toBe(3);
  });

  it('refuses an import that it cannot read', () => {
    expect(() => scan('await import(name);')).toThrow('a.ts:1');
    expect(() => scan('import { from')).toThrow('a.ts');
  });
});

describe('the file rules', () => {
  it('catch a long file', () => {
    const lines = (count: number) => [{ path: 'worker/src/a.ts', text: 'a\n'.repeat(count) }];
    expect(checkLengths(lines(longestFileLines))).toEqual([]);
    expect(checkLengths(lines(longestFileLines + 1))).toHaveLength(1);
  });

  it('catch a path of one machine', () => {
    const path = ['', 'work', 'main', 'a.ts'].join('/');
    const bad = [{ path: 'a.md', text: `first\nsee ${path}\n` }];
    expect(checkMachinePaths(bad)).toMatchObject([{ where: 'a.md:2' }]);
    expect(
      checkMachinePaths([{ path: 'a.md', text: 'see worker/src and ./work/main.ts' }]),
    ).toEqual([]);
  });

  it('catch the host of a registry', () => {
    const host = 'https://registry.example';
    const bad = [
      { path: 'tools/node/package-lock.json', text: `"resolved": "${host}/a.tgz",` },
      { path: 'pnpm-lock.yaml', text: `resolution: {tarball: ${host}/a.tgz}` },
      { path: '.npmrc', text: `registry=${host}` },
    ];
    expect(checkRegistryHosts(bad)).toHaveLength(3);
    expect(checkRegistryHosts([{ path: 'README.md', text: `registry=${host}` }])).toEqual([]);
  });

  it('catch a second workerd', () => {
    const lock = (text: string) => checkOneRuntime([{ path: 'pnpm-lock.yaml', text }]);
    expect(
      lock("  workerd@1.1.1:\n\n  workerd@1.1.1: {}\n  '@cloudflare/workerd-linux-64@1.1.1':"),
    ).toEqual([]);
    expect(lock('  workerd@1.1.1:\n  workerd@1.1.2:\n')).toHaveLength(1);
  });

  it.each<[rule: string, path: string, manifest: object]>([
    ['a version range', 'worker/package.json', { dependencies: { hono: '^4.0.0' } }],
    ['a tag', 'package.json', { devDependencies: { vitest: 'latest' } }],
    [
      'a package that the table refuses',
      'extension/package.json',
      { dependencies: { '@countersign/x509': 'workspace:*' } },
    ],
    [
      'testkit in what ships',
      'worker/package.json',
      { dependencies: { '@countersign/testkit': 'workspace:*' } },
    ],
    [
      'a package from the registry in place of our own',
      'worker/package.json',
      { dependencies: { '@countersign/x509': '0.1.0' } },
    ],
    [
      'a package outside of the table',
      'packages/other/package.json',
      { dependencies: { '@countersign/x509': 'workspace:*' } },
    ],
  ])('catch %s in a manifest', (_, path, manifest) => {
    expect(checkManifests([{ path, text: JSON.stringify(manifest) }])).toHaveLength(1);
  });

  it('allow manifests as they should be', () => {
    const manifest = {
      dependencies: { '@countersign/protocol': 'workspace:*', miniflare: '5.20261102.0-beta' },
      devDependencies: { '@countersign/testkit': 'workspace:*' },
    };
    expect(
      checkManifests([{ path: 'worker/package.json', text: JSON.stringify(manifest) }]),
    ).toEqual([]);
  });
});

describe('the reader of files', () => {
  it('leaves out what .gitignore does', () => {
    const isIgnored = ignoredBy('# comment\nnode_modules/\ntools/.bin/\n*.log\n');
    expect(['worker/node_modules', 'tools/.bin', 'a/b.log'].map(isIgnored)).toEqual([
      true,
      true,
      true,
    ]);
    expect(['worker/.bin', 'comment', 'a/log'].map(isIgnored)).toEqual([false, false, false]);
  });
});
