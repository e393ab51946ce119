import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { succeed } from '../../result.ts';
import { FakeCryptoki } from '../../testing/fake-cryptoki.ts';
import { CKF, CKM, CKR } from './cryptoki-values.ts';
import { Pkcs11KeyStores } from './pkcs11-keystores.ts';

const data = Buffer.from('data');

let folder: string;
let pinFile: string;
let token: FakeCryptoki;
let keyStores: Pkcs11KeyStores;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-token-'));
  mkdirSync(join(folder, 'pin'), { mode: 0o700 });
  pinFile = join(folder, 'pin', 'pin');
  token = new FakeCryptoki();
  writePin(token.pin);
  keyStores = open();
});
afterEach(() => rmSync(folder, { recursive: true }));

function writePin(pin: string): void {
  writeFileSync(pinFile, pin, { mode: 0o600 });
}

function open(pin: { readonly pinFile?: string } = { pinFile }): Pkcs11KeyStores {
  const settings = { module: '/module.so', tokenLabel: 'Fake', ...pin };
  return new Pkcs11KeyStores(settings, join(folder, 'state'), async () => succeed(token));
}

async function makeKey(): Promise<Uint8Array> {
  const key = await keyStores.open().ensureKey();
  if (!key.ok) throw new Error(`${key.reason}: ${key.detail}`);
  return key.value;
}

const calls = (name: string) => token.calls.filter((call) => call === name).length;

it('keeps the same key, whichever of the two ways the token has to say where its point is', async () => {
  const spki = await makeKey();
  expect(spki).toHaveLength(91);
  expect(await makeKey()).toEqual(spki);
  expect(await keyStores.open().sign(data)).toMatchObject({ ok: true });
  token.givesRawPoints = true;
  const other = await keyStores.open('0123456789abcdef').ensureKey();
  expect(other).toMatchObject({ ok: true });
  expect(other.ok && other.value).toHaveLength(91);
  expect(calls('C_GenerateKeyPair')).toBe(2);
});

it('makes one key for many at the same time', async () => {
  const keys = await Promise.all(Array.from({ length: 10 }, makeKey));
  expect(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size).toBe(1);
  expect(calls('C_GenerateKeyPair')).toBe(1);
});

it('closes the module after every use, also one that failed', async () => {
  await makeKey();
  token.failures.set('C_Sign', [0x30]);
  expect(await keyStores.open().sign(data)).toMatchObject({ ok: false });
  expect(calls('C_Finalize')).toBe(calls('C_Initialize'));
  expect(calls('C_CloseSession')).toBe(calls('C_OpenSession'));
});

it('needs no PIN for a token that asks for none', async () => {
  token.flags = 0;
  keyStores = open({});
  await makeKey();
  expect(calls('C_Login')).toBe(0);
});

describe('a PIN', () => {
  it('that was refused is tried once, by however many at the same time', async () => {
    await makeKey();
    writePin('0815');
    const before = calls('C_Login');
    const refused = await Promise.all(Array.from({ length: 5 }, () => open().open().sign(data)));
    expect(refused.map((result) => !result.ok && result.reason)).toEqual(
      Array.from({ length: 5 }, () => 'keystore_pin_wrong'),
    );
    expect(calls('C_Login')).toBe(before + 1);
  });

  it('is tried again by another token, and when it was written anew', async () => {
    await makeKey();
    writePin('0815');
    expect((await keyStores.open().sign(data)).ok).toBe(false);
    const before = calls('C_Login');
    token.serialNumber = 'another';
    token.pin = '0815';
    expect(await keyStores.open().sign(data)).toMatchObject({ ok: true });
    token.serialNumber = 'serial';
    expect(await keyStores.open().sign(data)).toMatchObject({ reason: 'keystore_pin_wrong' });
    expect(calls('C_Login')).toBe(before + 1);
    writePin('0815');
    expect(await keyStores.open().sign(data)).toMatchObject({ ok: true });
  });

  it.each([
    ['is locked', CKF.USER_PIN_LOCKED, 'is locked'],
    ['would be locked by one more error', CKF.USER_PIN_FINAL_TRY, 'would now lock'],
  ])('that %s is not tried', async (_, flag, detail) => {
    await makeKey();
    const before = calls('C_Login');
    token.flags |= flag;
    expect(await keyStores.open().sign(data)).toMatchObject({
      reason: 'keystore_pin_locked',
      detail: expect.stringContaining(detail),
    });
    expect(calls('C_Login')).toBe(before);
  });

  it('that turns out to be locked is said to be so', async () => {
    await makeKey();
    token.failures.set('C_Login', [CKR.PIN_LOCKED]);
    expect(await keyStores.open().sign(data)).toMatchObject({ reason: 'keystore_pin_locked' });
  });

  it.each([CKR.PIN_INVALID, CKR.PIN_LEN_RANGE, CKR.PIN_EXPIRED, CKR.USER_PIN_NOT_INITIALIZED])(
    'is wrong too when the token answers %i',
    async (answer) => {
      await makeKey();
      token.failures.set('C_Login', [answer]);
      expect(await keyStores.open().sign(data)).toMatchObject({ reason: 'keystore_pin_wrong' });
      expect(await keyStores.open().sign(data)).toMatchObject({ reason: 'keystore_pin_wrong' });
    },
  );

  it('is not tried a second time when the module only failed', async () => {
    await makeKey();
    const before = calls('C_Login');
    token.failures.set('C_Login', [CKR.GENERAL_ERROR]);
    expect(await keyStores.open().sign(data)).toMatchObject({ reason: 'keystore_module_failed' });
    expect(calls('C_Login')).toBe(before + 1);
  });

  it('that somebody has entered already is not missed', async () => {
    await makeKey();
    token.failures.set('C_Login', [CKR.USER_ALREADY_LOGGED_IN]);
    expect(await keyStores.open().sign(data)).toMatchObject({ ok: true });
  });

  it('that others could read is not used', async () => {
    chmodSync(pinFile, 0o640);
    expect(await keyStores.open().ensureKey()).toMatchObject({ reason: 'keystore_pin_unreadable' });
    expect(calls('C_Login')).toBe(0);
  });
});

describe('a token is unsuitable', () => {
  it.each([
    ['that cannot make a key', CKM.EC_KEY_PAIR_GEN],
    ['that cannot sign', CKM.ECDSA],
  ])('%s', async (_, mechanism) => {
    token.mechanisms.delete(mechanism);
    expect(await keyStores.open().ensureKey()).toMatchObject({
      reason: 'keystore_token_unsuitable',
    });
    expect(token.objectCount).toBe(0);
  });

  it('that makes keys which can be taken out; nothing is left there', async () => {
    token.makesExtractableKeys = true;
    expect(await keyStores.open().ensureKey()).toMatchObject({
      reason: 'keystore_token_unsuitable',
      detail: expect.stringContaining('can be taken out'),
    });
    expect(token.objectCount).toBe(0);
  });

  it.each([CKR.TOKEN_WRITE_PROTECTED, CKR.SESSION_READ_ONLY])('that answers %i', async (answer) => {
    token.failures.set('C_GenerateKeyPair', [answer]);
    expect(await keyStores.open().ensureKey()).toMatchObject({
      reason: 'keystore_token_unsuitable',
    });
  });
});

describe('an error of the module', () => {
  it('is named with the call that it answered', async () => {
    await makeKey();
    token.failures.set('C_Sign', [0x30]);
    expect(await keyStores.open().sign(data)).toEqual({
      ok: false,
      reason: 'keystore_module_failed',
      detail: 'keystore.module: /module.so: C_Sign answered CKR_DEVICE_ERROR (0x30)',
    });
    token.failures.set('C_Sign', [0x8000_0001]);
    expect(await keyStores.open().sign(data)).toMatchObject({
      detail: expect.stringContaining('C_Sign answered 0x80000001'),
    });
  });

  it.each([CKR.TOKEN_NOT_PRESENT, CKR.DEVICE_REMOVED, CKR.TOKEN_NOT_RECOGNIZED])(
    'that says that the token is gone: %i',
    async (answer) => {
      await makeKey();
      token.failures.set('C_OpenSession', [answer]);
      expect(await keyStores.open().sign(data)).toMatchObject({ reason: 'keystore_token_missing' });
    },
  );

  it.each(['C_Initialize', 'C_GetTokenInfo', 'C_OpenSession', 'C_FindObjects', 'C_Sign'])(
    'that passes is waited out: %s',
    async (name) => {
      await makeKey();
      token.failures.set(name, [CKR.GENERAL_ERROR, CKR.FUNCTION_FAILED]);
      expect(await keyStores.open().sign(data)).toMatchObject({ ok: true });
    },
  );

  it('that does not pass is given up', async () => {
    await makeKey();
    const always = Array.from({ length: 100 }, () => CKR.GENERAL_ERROR);
    token.failures.set('C_GetTokenInfo', always);
    expect(await keyStores.open().sign(data)).toMatchObject({ reason: 'keystore_module_failed' });
    expect(always.length).toBeGreaterThan(90);
  });

  it('while a key is made is not answered by making another one', async () => {
    token.failures.set('C_GenerateKeyPair', [CKR.GENERAL_ERROR]);
    expect(await keyStores.open().ensureKey()).toMatchObject({ reason: 'keystore_module_failed' });
    expect(calls('C_GenerateKeyPair')).toBe(1);
  });
});

it('says what is wrong with its own file in the state folder', async () => {
  await makeKey();
  const path = join(folder, 'state', 'token-scope.json');
  writeFileSync(path, '{"version":1,"scope":"../.."}');
  expect(await keyStores.open().sign(data)).toMatchObject({
    reason: 'key_damaged',
    detail: expect.stringContaining('scope'),
  });
  expect(await keyStores.open().ensureKey()).toMatchObject({ reason: 'key_damaged' });
  expect(await keyStores.removeAll()).toMatchObject({ reason: 'key_damaged' });
  chmodSync(path, 0o644);
  expect(await keyStores.open().sign(data)).toMatchObject({ reason: 'key_exposed' });
  expect(readdirSync(join(folder, 'state')).sort()).toEqual(['token-scope.json', 'token.lock']);
});
