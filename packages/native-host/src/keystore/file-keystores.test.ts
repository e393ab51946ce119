import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileKeyStore } from './file-keystore.ts';
import { FileKeyStores } from './file-keystores.ts';
import { keyId, newKeyId } from './key-id.ts';
import type { KeyStore } from './keystore.ts';

const oneId = '0123456789abcdef';
const otherId = 'fedcba9876543210';
const done = { ok: true, value: undefined };

let top: string;
let folder: string;
let keyStores: FileKeyStores;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'countersign-keystores-'));
  folder = join(top, 'state');
  keyStores = new FileKeyStores(folder);
});
afterEach(() => rmSync(top, { recursive: true }));

const names = () => readdirSync(folder).sort();

async function spkiIn(keyStore: KeyStore): Promise<string> {
  const key = await keyStore.ensureKey();
  if (!key.ok) throw new Error(key.detail);
  return Buffer.from(key.value).toString('hex');
}

describe('the keys of a folder', () => {
  it('are different ones, each in files of its own', async () => {
    const first = await spkiIn(keyStores.open());
    const one = await spkiIn(keyStores.open(oneId));
    expect(one).not.toBe(first);
    expect(await spkiIn(new FileKeyStore(folder))).toBe(first);
    expect(await spkiIn(new FileKeyStore(folder, oneId))).toBe(one);
    expect(names()).toEqual([
      `device-key-${oneId}.json`,
      'device-key.json',
      `wrapping-${oneId}.key`,
      'wrapping.key',
    ]);
    await keyStores.open(oneId).delete();
    expect(names()).toEqual(['device-key.json', 'wrapping.key']);
  });

  it.each([undefined, oneId])('are removed but for one: %s', async (kept) => {
    const keys = new Map<string | undefined, string>();
    for (const id of [undefined, oneId, otherId]) keys.set(id, await spkiIn(keyStores.open(id)));
    const suffix = kept === undefined ? '' : `-${kept}`;
    const unfinished = [`wrapping-${otherId}.key.a1b2.tmp`, `device-key-${otherId}.json.00ff.tmp`];
    const others = ['enrollment.json', 'device-key.txt', 'device-key-1.json', 'my wrapping.key'];
    for (const name of [...unfinished, ...others]) writeFileSync(join(folder, name), '');
    expect(await keyStores.removeOthers(kept)).toEqual(done);
    expect(names()).toEqual(
      [...others, `device-key${suffix}.json`, `wrapping${suffix}.key`].sort(),
    );
    expect(await spkiIn(keyStores.open(kept))).toBe(keys.get(kept));
    expect(await keyStores.removeAll()).toEqual(done);
    expect(names()).toEqual(others.sort());
  });

  it('are none before the folder is made', async () => {
    expect(await keyStores.removeOthers(oneId)).toEqual(done);
    expect(await keyStores.removeAll()).toEqual(done);
  });

  it('are said to be there still when they cannot be removed', async () => {
    mkdirSync(join(folder, 'device-key.json'), { recursive: true, mode: 0o700 });
    expect(await keyStores.removeOthers(oneId)).toMatchObject({
      ok: false,
      reason: 'store_unavailable',
      detail: expect.stringContaining('device-key.json'),
    });
  });
});

it('gives each key an id of its own, which names no path', () => {
  const ids = Array.from({ length: 100 }, newKeyId);
  expect(new Set(ids).size).toBe(100);
  expect(ids.every((id) => keyId.safeParse(id).success)).toBe(true);
  for (const wrong of ['', '../../../etc/abc', oneId.toUpperCase(), `${oneId}0`, `${oneId}\n`]) {
    expect(keyId.safeParse(wrong).success).toBe(false);
  }
});
