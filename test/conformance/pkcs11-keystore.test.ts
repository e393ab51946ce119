// The PKCS#11 keystore against SoftHSM2, with OpenSC's pkcs11-tool, openssl and Node's crypto as judges.
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type KeyStore,
  type KeyStores,
  loadCryptoki,
  openKeyStores,
} from '@countersign/native-host';
import { expectOk } from '@countersign/testkit/fake-authorities';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { ecdsaSignatureFromRaw } from '@countersign/x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoftToken } from '../support/soft-token.ts';
import { Judge } from './x509/judge.ts';

const keyId = '0123456789abcdef';
/** CKO_PRIVATE_KEY, and CKA_… by their numbers in the standard. */
const privateKeyClass = 3;
const attributes = {
  class: 0x0,
  value: 0x11,
  id: 0x102,
  sensitive: 0x103,
  extractable: 0x162,
} as const;
const data = Buffer.from('what is signed');
const done = { ok: true, value: undefined };

let token: SoftToken;
let folder: string;
let keyStores: KeyStores;
beforeEach(async () => {
  token = new SoftToken();
  // The module reads it in this process.
  Object.assign(process.env, token.environment);
  folder = mkdtempSync(join(tmpdir(), 'countersign-pkcs11-'));
  keyStores = await openWith();
});
afterEach(() => {
  delete process.env.SOFTHSM2_CONF;
  token.remove();
  rmSync(folder, { recursive: true });
});

/** The keystores of one state folder on the token. */
function openWith(changes: object = {}, state = 'state'): Promise<KeyStores> {
  const { module, token_label: tokenLabel, pin_file: pinFile } = token.keystore;
  const keystore = { kind: 'pkcs11', module, tokenLabel, pinFile, ...changes } as const;
  return openKeyStores({ keystore, stateDirectory: join(folder, state) });
}

async function must<Value>(
  result: Promise<{ ok: true; value: Value } | { ok: false; reason: string; detail: string }>,
): Promise<Value> {
  const settled = await result;
  if (!settled.ok) throw new Error(`${settled.reason}: ${settled.detail}`);
  return settled.value;
}

/** CKA_ID of a key of the folder, in hexadecimal. */
function idOf(id = '0'.repeat(16), state = 'state'): string {
  const { scope } = JSON.parse(readFileSync(join(folder, state, 'token-scope.json'), 'utf8'));
  return scope + id;
}

/** How many objects the token has, by what pkcs11-tool calls them. */
function objects(): Record<string, number> {
  const list = token.tool('--list-objects').toString();
  const count = (pattern: RegExp) => list.match(pattern)?.length ?? 0;
  return {
    private: count(/^Private Key Object/gm),
    public: count(/^Public Key Object/gm),
    certificate: count(/^Certificate Object/gm),
  };
}

async function certificateFor(spki: Uint8Array): Promise<Uint8Array> {
  const organization = await FakeOrganization.create('https://broker.example.com');
  return organization.issueCertificate(spki, 'fake-device-0000');
}

describe('a key', () => {
  it('is made in the token and cannot be taken out of it', async () => {
    await must(keyStores.open().ensureKey());
    const list = token.tool('--list-objects', '--type', 'privkey').toString();
    expect(list).toContain('sensitive, always sensitive, never extractable, local');
    expect(list).toContain(idOf());
    expect(keyStores.open().protection).toBe('pkcs11');
    expect(readdirSync(join(folder, 'state'))).toEqual(['token-scope.json', 'token.lock']);
  });

  it('gives its value to nobody who asks the module for it, logged in', async () => {
    await must(keyStores.open().ensureKey());
    const cryptoki = await must(loadCryptoki(token.keystore.module));
    cryptoki.initialize();
    try {
      const [slot = 0n] = cryptoki.listSlots();
      const session = cryptoki.openSession(slot, true);
      cryptoki.login(session, Buffer.from(token.pin));
      const id = Buffer.from(idOf(), 'hex');
      const [key = 0n, ...more] = cryptoki.findObjects(session, [
        [attributes.class, privateKeyClass],
        [attributes.id, id],
      ]);
      expect(more).toEqual([]);
      const read = (type: (typeof attributes)[keyof typeof attributes]) =>
        cryptoki.readAttribute(session, key, type)[0];
      expect(read(attributes.sensitive)).toBe(1);
      expect(read(attributes.extractable)).toBe(0);
      expect(() => read(attributes.value)).toThrow(/CKR_ATTRIBUTE_SENSITIVE \(0x11\)/);
    } finally {
      cryptoki.finalize();
    }
  });

  it('signs what its public key verifies: r and s side by side', async () => {
    const keyStore = keyStores.open();
    const spki = Buffer.from(await must(keyStore.ensureKey()));
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    expect(key.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    for (let count = 0; count < 5; count++) {
      const signature = await must(keyStore.sign(data));
      expect(signature).toHaveLength(64);
      expect(verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
    }
  });

  it('has the public key that pkcs11-tool reads, and signs as openssl expects', async () => {
    const keyStore = keyStores.open();
    const spki = Buffer.from(await must(keyStore.ensureKey()));
    expect(token.tool('--read-object', '--type', 'pubkey', '--id', idOf())).toEqual(spki);
    const judge = new Judge();
    try {
      judge.write('key.der', spki);
      judge.write('data', data);
      const signature = ecdsaSignatureFromRaw(await must(keyStore.sign(data)), 'P-256');
      judge.write('signature', expectOk(signature));
      const verifying = ['-verify', 'key.der', '-keyform', 'DER', '-signature', 'signature'];
      expect(judge.tell('openssl', 'dgst', '-sha256', ...verifying, 'data')).toContain(
        'Verified OK',
      );
    } finally {
      judge.remove();
    }
  });

  it('stays the same for whoever opens the token later', async () => {
    const spki = await must(keyStores.open().ensureKey());
    expect(await must((await openWith()).open().ensureKey())).toEqual(spki);
    expect(await must((await openWith()).open().publicKeySpki())).toEqual(spki);
    expect(objects()).toEqual({ private: 1, public: 1, certificate: 0 });
  });

  it('is gone with its certificate after it was deleted, and another one can be made', async () => {
    const keyStore = keyStores.open();
    const first = await must(keyStore.ensureKey());
    await must(keyStore.keepCertificate(await certificateFor(first)));
    expect(await keyStore.delete()).toEqual(done);
    expect(objects()).toEqual({ private: 0, public: 0, certificate: 0 });
    expect(await keyStore.sign(data)).toMatchObject({ ok: false, reason: 'key_missing' });
    expect(await keyStore.publicKeySpki()).toMatchObject({ ok: false, reason: 'key_missing' });
    expect(await keyStore.delete()).toEqual(done);
    expect(await must(keyStore.ensureKey())).not.toEqual(first);
  });
});

describe('a certificate', () => {
  it('is kept beside the key, found there, and replaced', async () => {
    const keyStore = keyStores.open();
    const spki = await must(keyStore.ensureKey());
    expect(await keyStore.findCertificate()).toEqual(done);
    const [first, second] = [await certificateFor(spki), await certificateFor(spki)];
    for (const certificate of [first, first, second]) {
      expect(await keyStore.keepCertificate(certificate)).toEqual(done);
      expect(Buffer.from((await must(keyStore.findCertificate())) ?? [])).toEqual(
        Buffer.from(certificate),
      );
      expect(objects()).toEqual({ private: 1, public: 1, certificate: 1 });
    }
    const read = token.tool('--read-object', '--type', 'cert', '--id', idOf());
    expect(read).toEqual(Buffer.from(second));
    const { serialNumber, subject } = new X509Certificate(second);
    const list = token.tool('--list-objects', '--type', 'cert').toString();
    expect(list).toContain(`serial:     ${serialNumber}`);
    expect(list).toContain(subject);
  });

  it('is not kept without its key', async () => {
    await must(keyStores.open().ensureKey());
    const other = keyStores.open(keyId);
    const certificate = await certificateFor(await must(keyStores.open().publicKeySpki()));
    expect(await other.keepCertificate(certificate)).toMatchObject({ reason: 'key_missing' });
    expect(objects()).toMatchObject({ certificate: 0 });
  });
});

describe('the keys of a state folder', () => {
  it.each([undefined, keyId])('are removed but for one: %s', async (kept) => {
    const others = await openWith({}, 'of another person');
    const foreign = await must(others.open().ensureKey());
    const spkis = new Map<string | undefined, Uint8Array>();
    for (const id of [undefined, keyId, 'fedcba9876543210']) {
      const keyStore = keyStores.open(id);
      const spki = await must(keyStore.ensureKey());
      await must(keyStore.keepCertificate(await certificateFor(spki)));
      spkis.set(id, spki);
    }
    expect(new Set([...spkis.values()].map((spki) => Buffer.from(spki).toString('hex'))).size).toBe(
      3,
    );
    expect(objects()).toEqual({ private: 4, public: 4, certificate: 3 });

    expect(await keyStores.removeOthers(kept)).toEqual(done);
    expect(objects()).toEqual({ private: 2, public: 2, certificate: 1 });
    expect(await must(keyStores.open(kept).publicKeySpki())).toEqual(spkis.get(kept));
    expect(await keyStores.removeAll()).toEqual(done);
    expect(objects()).toEqual({ private: 1, public: 1, certificate: 0 });
    expect(await must(others.open().publicKeySpki())).toEqual(foreign);
  });

  it('are none before one was made, whatever is wrong with the token', async () => {
    const without = await openWith({ module: '/nowhere/module.so' });
    expect(await without.removeOthers(keyId)).toEqual(done);
    expect(await without.removeAll()).toEqual(done);
    expect(await without.open().publicKeySpki()).toMatchObject({ reason: 'key_missing' });
  });
});

/** What every use of the keystore is refused with. The token is left as it was. */
async function expectRefusal(refused: KeyStores, reason: string, detail: string | RegExp) {
  const uses: ((keyStore: KeyStore) => Promise<unknown>)[] = [
    (keyStore) => keyStore.ensureKey(),
    (keyStore) => keyStore.publicKeySpki(),
    (keyStore) => keyStore.sign(data),
    (keyStore) => keyStore.delete(),
  ];
  for (const use of uses) {
    expect(await use(refused.open())).toEqual({
      ok: false,
      reason,
      detail: expect.stringMatching(detail),
    });
  }
}

describe('the keystore says', () => {
  beforeEach(() => must(keyStores.open().ensureKey()));

  it.each([
    ['that there is no module', '/nowhere/module.so', 'keystore_module_missing', 'does not exist'],
    ['that a text is no module', '/etc/passwd', 'keystore_module_invalid', 'invalid ELF header'],
    ['that a folder is no module', '/etc', 'keystore_module_invalid', 'keystore.module: /etc: '],
    [
      'that another library is no module',
      '/lib/x86_64-linux-gnu/libm.so.6',
      'keystore_module_invalid',
      'C_GetFunctionList',
    ],
  ])('%s', async (_, module, reason, detail) => {
    await expectRefusal(await openWith({ module }), reason, detail);
  });

  it('which tokens there are instead', async () => {
    const other = await openWith({ tokenLabel: 'Device key' });
    await expectRefusal(
      other,
      'keystore_token_missing',
      /no token "Device key"; it has "Device keys"/,
    );
  });

  it('that several tokens have the name', async () => {
    token.initialize(token.label);
    await expectRefusal(keyStores, 'keystore_token_ambiguous', /has 2 tokens "Device keys"/);
  });

  it('that the token asks for a PIN', async () => {
    const without = await openWith({ pinFile: undefined });
    await expectRefusal(without, 'keystore_pin_unreadable', 'asks for a PIN');
  });

  it.each([
    ['missing', () => rmSync(token.pinFile), 'does not exist'],
    ['empty', () => writeFileSync(token.pinFile, '\n'), 'is empty'],
    ['readable by others', () => chmodSync(token.pinFile, 0o644), 'has mode 0644'],
    ['in a folder of others', () => chmodSync(join(token.pinFile, '..'), 0o755), 'has mode 0755'],
    ['too large', () => writeFileSync(token.pinFile, 'a'.repeat(300)), 'is larger than'],
  ])('that the file with the PIN is %s', async (_, damage, detail) => {
    damage();
    await expectRefusal(
      keyStores,
      'keystore_pin_unreadable',
      new RegExp(`^keystore.pin_file.*${detail}`),
    );
  });

  it('that the PIN is wrong, and tries it only once', async () => {
    const wrong = 'wrong-pin';
    token.writePin(wrong);
    const first = await keyStores.open().sign(data);
    expect(first).toMatchObject({
      reason: 'keystore_pin_wrong',
      detail: expect.stringMatching(
        /refused the PIN: C_Login answered CKR_PIN_INCORRECT \(0xa0\)$/,
      ),
    });
    // From here on it would be right, if it were tried.
    token.changePin(wrong);
    await expectRefusal(keyStores, 'keystore_pin_wrong', /refused this PIN before/);
    await expectRefusal(await openWith(), 'keystore_pin_wrong', /refused this PIN before/);
    token.writePin(wrong);
    expect(await keyStores.open().sign(data)).toMatchObject({ ok: true });
    const kept = readFileSync(join(folder, 'state', 'refused-pin.json'), 'utf8');
    expect(kept + JSON.stringify(first)).not.toContain(wrong);
  });

  it('that there are several keys with the id', async () => {
    const again = ['--keypairgen', '--key-type', 'EC:prime256v1', '--id', idOf()];
    token.tool(...again);
    const refusal = { ok: false, reason: 'keystore_key_ambiguous' };
    expect(await keyStores.open().sign(data)).toMatchObject(refusal);
    expect(await keyStores.open().ensureKey()).toMatchObject({
      ...refusal,
      detail: expect.stringContaining(`2 private keys with CKA_ID ${idOf()}`),
    });
    await must(keyStores.open(keyId).ensureKey());
  });

  it('that the key is of another kind', async () => {
    await must(keyStores.open().delete());
    token.tool('--keypairgen', '--key-type', 'EC:secp384r1', '--id', idOf());
    expect(await keyStores.open().publicKeySpki()).toMatchObject({
      reason: 'key_damaged',
      detail: expect.stringContaining('not a P-256 key'),
    });
  });

  it('that a key can be taken out of the token', async () => {
    await must(keyStores.open().delete());
    const judge = new Judge();
    try {
      const curve = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
      judge.tell('openssl', 'genpkey', ...curve, '-outform', 'DER', '-out', 'key.der');
      const write = ['--write-object', join(judge.folder, 'key.der'), '--type', 'privkey'];
      token.tool(...write, '--id', idOf(), '--usage-sign', '--extractable');
    } finally {
      judge.remove();
    }
    expect(await keyStores.open().sign(data)).toMatchObject({ reason: 'key_exposed' });
  });
});
