// What is said and done without a TPM; with one: test/conformance/tpm-enrollment.test.ts.
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keepTpmKey, tpmKeyPath } from './tpm-key-file.ts';
import { TpmKeyStores } from './tpm-keystores.ts';

const keyId = '0123456789abcdef';
const otherId = 'fedcba9876543210';
const blob = { publicArea: Buffer.from('public'), privatePart: Buffer.from('private') };

let top: string;
let folder: string;
let stores: TpmKeyStores;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'countersign-tpm-keys-'));
  folder = join(top, 'state');
  stores = new TpmKeyStores({ device: join(top, 'no-tpm') }, folder);
});
afterEach(() => rmSync(top, { recursive: true }));

const keep = (id?: string) => keepTpmKey(folder, tpmKeyPath(folder, id), blob);

describe('a key in a TPM', () => {
  it('is missing where there is no file, and is not made without a TPM', async () => {
    expect(await stores.open().publicKeySpki()).toMatchObject({ reason: 'key_missing' });
    expect(await stores.open().sign(Buffer.alloc(1))).toMatchObject({ reason: 'key_missing' });
    expect(await stores.open().ensureKey()).toMatchObject({ reason: 'keystore_tpm_missing' });
    expect(readdirSync(top)).toEqual([]);
  });

  it('is not to be used without the TPM', async () => {
    keep();
    expect(await stores.open().publicKeySpki()).toMatchObject({ reason: 'keystore_tpm_missing' });
  });

  it.each([
    ['no JSON', '{"version":1'],
    ['another version', '{"version":2}'],
    ['no base64url', '{"version":1,"algorithm":"ES256","public_area":"*","private_part":"AA"}'],
    [
      'a member too many',
      '{"version":1,"algorithm":"ES256","public_area":"AA","private_part":"AA","a":1}',
    ],
    ['too much', ' '.repeat(5000)],
  ])('is damaged where its file holds %s', async (_, content) => {
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(tpmKeyPath(folder, undefined), content, { mode: 0o600 });
    expect(await stores.open().publicKeySpki()).toMatchObject({ reason: 'key_damaged' });
  });

  it('is not used where others may read or change its file', async () => {
    keep();
    chmodSync(tpmKeyPath(folder, undefined), 0o640);
    expect(await stores.open().sign(Buffer.alloc(1))).toMatchObject({ reason: 'key_exposed' });
  });

  it('stays where another process was first', () => {
    keep();
    const other = { ...blob, privatePart: Buffer.from('another') };
    expect(keepTpmKey(folder, tpmKeyPath(folder, undefined), other)).toMatchObject({ ok: true });
    expect(readdirSync(folder)).toEqual(['tpm-key.json']);
  });
});

describe('keys of a folder', () => {
  beforeEach(() => {
    for (const id of [undefined, keyId, otherId]) keep(id);
    writeFileSync(join(folder, 'tpm-key.json.1a2b.tmp'), '');
    writeFileSync(join(folder, 'device-key.json'), '');
  });

  it('go but for the one that is named, and for what is not theirs', async () => {
    expect(await stores.removeOthers(keyId)).toMatchObject({ ok: true });
    expect(readdirSync(folder).sort()).toEqual(['device-key.json', `tpm-key-${keyId}.json`]);
  });

  it('go but for the first', async () => {
    await stores.removeOthers();
    // What is left of a write that was cut off is the first key's.
    const left = ['device-key.json', 'tpm-key.json', 'tpm-key.json.1a2b.tmp'];
    expect(readdirSync(folder).sort()).toEqual(left);
  });

  it('go all, or one alone; none is no failure', async () => {
    expect(await stores.open(keyId).delete()).toMatchObject({ ok: true });
    expect(readdirSync(folder)).not.toContain(`tpm-key-${keyId}.json`);
    expect(await stores.open(keyId).delete()).toMatchObject({ ok: true });
    expect(await stores.removeAll()).toMatchObject({ ok: true });
    expect(readdirSync(folder)).toEqual(['device-key.json']);
    rmSync(folder, { recursive: true });
    expect(await stores.removeAll()).toMatchObject({ ok: true });
  });
});
