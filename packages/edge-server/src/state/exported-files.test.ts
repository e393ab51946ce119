import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makePrivateDirectory } from '../data-directory/durable-files.ts';
import { dataPaths } from '../data-directory/layout.ts';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { makeNewIssuer } from '../issuers/prepare-issuer.ts';
import { makeFirstTokenKeys } from '../rotation/token-key-files.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { readExportedFiles, writeExportedFiles } from './exported-files.ts';

const nowMs = Date.UTC(2026, 10, 21);
const settings = { brokerUrl: 'http://127.0.0.1:8780', nowMs };

/** A data folder with two issuers, and the files of its export. */
async function exportOfTwo() {
  const data = await ensureDataDirectory(join(temporaryDirectory(), 'data'), settings);
  await makeNewIssuer(data, nowMs);
  return { data, files: () => readExportedFiles(data.directory) };
}

/** A folder as an import makes it of these files. */
async function imported(files: Readonly<Record<string, string>>) {
  const directory = mkdtempSync(join(temporaryDirectory(), 'import-'));
  writeExportedFiles(directory, files, []);
  makePrivateDirectory(join(directory, 'durable-objects'));
  makeFirstTokenKeys(dataPaths(directory), nowMs);
  return await ensureDataDirectory(directory, settings);
}

it('brings both issuers and the keys that others are sealed with, with or without the root key', async () => {
  const { data, files } = await exportOfTwo();
  for (const withRoot of [true, false]) {
    if (!withRoot) rmSync(data.paths.privateKey('root'));
    const other = await imported(files());
    expect(other.issuers).toEqual({
      active: ['issuer', 'issuer-2'],
      requested: undefined,
      next: 3,
    });
    for (const name of ['issuer', 'issuer-2'] as const) {
      expect(other.certificatePem(name)).toBe(data.certificatePem(name));
      expect(other.privateKey(name).equals(data.privateKey(name))).toBe(true);
    }
    for (const path of ['storedSecretsKey', 'scepRaKey'] as const) {
      expect(readFileSync(other.paths[path])).toEqual(readFileSync(data.paths[path]));
    }
    expect(readdirSync(other.paths.keys).includes('root.pem')).toBe(withRoot);
  }
});

it('of an earlier version, which has one issuer and no such keys, gets new ones', async () => {
  const { files } = await exportOfTwo();
  const later = ['issuers.json', 'keys/scep-ra.pem', 'keys/stored-secrets.key'];
  const older = Object.entries(files()).filter(
    ([name]) => !later.includes(name) && !name.includes('issuer-2'),
  );
  const data = await imported(Object.fromEntries(older));
  expect(data.issuers.active).toEqual(['issuer']);
  expect(readFileSync(data.paths.storedSecretsKey)).toHaveLength(32);
});

it('writes nothing but what an export has, whatever names are in it', async () => {
  const { files } = await exportOfTwo();
  const content = Buffer.from('planted').toString('base64url');
  const names = [
    '../outside',
    'keys/../../outside',
    'keys/issuer-2.pem/../x.pem',
    'server.lock',
    '/x',
  ];
  const planted = Object.fromEntries(names.map((name) => [name, content]));
  const data = await imported({ ...planted, ...files() });
  const texts = readdirSync(data.directory, { recursive: true, encoding: 'utf8' });
  expect(texts.filter((name) => /outside|(^|\/)x/.test(name))).toEqual([]);
  expect(() => writeExportedFiles(temporaryDirectory(), planted, [])).toThrow(
    'lack deployment.json',
  );
});
