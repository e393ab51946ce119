import { createPublicKey, verify } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileKeyStore } from './file-keystore.ts';

let top: string;
let folder: string;
let keyStore: FileKeyStore;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'countersign-keystore-'));
  folder = join(top, 'state');
  keyStore = new FileKeyStore(folder);
});
afterEach(() => rmSync(top, { recursive: true }));

const data = Buffer.from('data');
const wrappedKey = () => join(folder, 'device-key.json');
const wrappingKey = () => join(folder, 'wrapping.key');

async function makeKey(store = keyStore): Promise<Uint8Array> {
  const key = await store.ensureKey();
  if (!key.ok) throw new Error(key.detail);
  return key.value;
}

function changeWrappedKey(change: (file: Record<string, unknown>) => object): void {
  const file = JSON.parse(readFileSync(wrappedKey(), 'utf8'));
  writeFileSync(wrappedKey(), JSON.stringify(change(file)));
}

/** Neither use of the key is possible, for this reason. */
async function expectRefusal(reason: string, detail: string | RegExp = ''): Promise<void> {
  const refusal = { ok: false, reason, detail: expect.stringMatching(detail) };
  expect(await keyStore.sign(data)).toEqual(refusal);
  expect(await keyStore.publicKeySpki()).toEqual(refusal);
}

describe('a key', () => {
  it('signs what its public key verifies: r and s side by side', async () => {
    const spki = await makeKey();
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    const signature = await keyStore.sign(data);
    if (!signature.ok) throw new Error(signature.detail);
    expect(signature.value).toHaveLength(64);
    expect(verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature.value)).toBe(true);
    expect(key.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
  });

  it('stays the same for whoever opens the store later', async () => {
    const spki = await makeKey();
    const later = new FileKeyStore(folder);
    expect(await later.ensureKey()).toEqual({ ok: true, value: spki });
    expect(await later.publicKeySpki()).toEqual({ ok: true, value: spki });
  });

  it('is one key for many that make it at the same time', async () => {
    const stores = Array.from({ length: 20 }, () => new FileKeyStore(folder));
    const keys = await Promise.all(stores.map(makeKey));
    expect(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size).toBe(1);
    expect(readdirSync(folder).sort()).toEqual(['device-key.json', 'wrapping.key']);
  });

  it('lies in files of mode 0600 in a folder of mode 0700, not in the clear', async () => {
    await makeKey();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(wrappedKey()).mode & 0o777).toBe(0o600);
    expect(statSync(wrappingKey()).mode & 0o777).toBe(0o600);
    const file = JSON.parse(readFileSync(wrappedKey(), 'utf8'));
    const ciphertext = Buffer.from(file.ciphertext, 'base64url');
    // PKCS#8 holds the OID of P-256.
    expect(ciphertext.includes(Buffer.from('2a8648ce3d030107', 'hex'))).toBe(false);
  });

  it('is gone after it was deleted, and another one can be made', async () => {
    const first = await makeKey();
    expect((await keyStore.delete()).ok).toBe(true);
    await expectRefusal('key_missing');
    expect(readdirSync(folder)).toEqual([]);
    expect((await keyStore.delete()).ok).toBe(true);
    expect(await makeKey()).not.toEqual(first);
  });
});

describe('the store refuses', () => {
  it('to use a key that was never made', () => expectRefusal('key_missing'));

  it.each([0o640, 0o604, 0o660])('files of mode %o', async (mode) => {
    await makeKey();
    chmodSync(wrappedKey(), mode);
    await expectRefusal('key_exposed', 'device-key.json has mode');
    chmodSync(wrappedKey(), 0o600);
    chmodSync(wrappingKey(), mode);
    await expectRefusal('key_exposed', 'wrapping.key has mode');
  });

  it('a folder that others may enter', async () => {
    await makeKey();
    chmodSync(folder, 0o750);
    await expectRefusal('key_exposed', 'has mode 0750');
  });

  it.each([
    ['cut off', (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 60))],
    ['empty', (path: string) => writeFileSync(path, '')],
    ['not a key', (path: string) => writeFileSync(path, '{"version":1}')],
    ['too large', (path: string) => writeFileSync(path, Buffer.alloc(5000, 0x20))],
  ])('a wrapped key that is %s', async (_, damage) => {
    await makeKey();
    damage(wrappedKey());
    await expectRefusal('key_damaged', 'device-key.json');
  });

  it.each(['public_key', 'iv', 'ciphertext', 'tag'])('a changed %s', async (name) => {
    await makeKey();
    changeWrappedKey((file) => {
      const bytes = Buffer.from(String(file[name]), 'base64url');
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      return { ...file, [name]: bytes.toString('base64url') };
    });
    await expectRefusal('key_damaged', 'does not open');
  });

  it.each([
    ['of another version', { version: 2 }],
    ['of another algorithm', { algorithm: 'none' }],
    ['with a short tag', { tag: 'AAAAAA' }],
    ['with a member that is not known', { more: 1 }],
  ])('a wrapped key %s', async (_, change) => {
    await makeKey();
    changeWrappedKey((file) => ({ ...file, ...change }));
    await expectRefusal('key_damaged', Object.keys(change)[0] ?? '');
  });

  it('the wrapping key of another store', async () => {
    await makeKey();
    const other = new FileKeyStore(join(top, 'other'));
    await makeKey(other);
    copyFileSync(join(top, 'other', 'wrapping.key'), wrappingKey());
    await expectRefusal('key_damaged', 'does not open');
  });

  it.each([
    ['gone', (path: string) => rmSync(path), 'is gone'],
    ['cut off', (path: string) => writeFileSync(path, Buffer.alloc(31)), 'does not hold 32 bytes'],
  ])(
    'a wrapping key that is %s, and makes no other key in its place',
    async (_, damage, detail) => {
      await makeKey();
      damage(wrappingKey());
      await expectRefusal('key_damaged', detail);
      expect(await keyStore.ensureKey()).toMatchObject({ ok: false, reason: 'key_damaged' });
    },
  );

  it('a place where it cannot write', async () => {
    writeFileSync(folder, 'a file');
    expect(await keyStore.ensureKey()).toMatchObject({ ok: false, reason: 'store_unavailable' });
  });
});
