// Credentials of the broker and answers of the host's TPM client, held against tpm2-tools.
import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certifyKey, identifyTpm, TpmKeyStores } from '@countersign/native-host';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeCredential } from '../../worker/src/enrollment/tpm/make-credential.ts';
import {
  nameOf,
  type PublicArea,
  parsePublicArea,
  spkiOf,
} from '../../worker/src/enrollment/tpm/public-area.ts';
import { verifyCertification } from '../../worker/src/enrollment/tpm/verify-certification.ts';
import { type SoftwareTpm, TpmMaker } from '../support/software-tpm.ts';

let maker: TpmMaker;
let tpm: SoftwareTpm;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-tpm-judge-'));
  maker = new TpmMaker();
  tpm = await maker.make();
});
afterAll(async () => {
  await maker?.remove();
  rmSync(folder, { recursive: true });
});

/** tpm2-tools leave what they loaded in a TPM without a resource manager. */
function tool(program: string, ...args: readonly string[]): Buffer {
  const output = tpm.tool(program, args, folder);
  tpm.tool('tpm2_flushcontext', ['--transient-object'], folder);
  return output;
}
const file = (name: string) => readFileSync(join(folder, name));

function areaOf(bytes: Uint8Array): PublicArea {
  const area = parsePublicArea(bytes);
  if (!area.ok) throw new Error(area.detail);
  return area.value;
}

/** TPM2B_PUBLIC, as tpm2-tools write it, without its size. */
const areaIn = (name: string) => areaOf(file(name).subarray(2));

it.each(['rsa', 'ecc'])(
  'what the broker makes for an %s key, tpm2_activatecredential opens',
  async (kind) => {
    tool('tpm2_createek', '-c', 'ek.ctx', '-G', kind, '-u', 'ek.pub');
    const attestationKey = [
      '-G',
      'ecc',
      '-g',
      'sha256',
      '-s',
      'ecdsa',
      '-u',
      'ak.pub',
      '-n',
      'ak.name',
    ];
    tool('tpm2_createak', '-C', 'ek.ctx', '-c', 'ak.ctx', ...attestationKey);
    const name = Buffer.from(await nameOf(areaIn('ak.pub')));
    expect(name.equals(file('ak.name'))).toBe(true);
    const secret = randomBytes(32);
    const made = await makeCredential(areaIn('ek.pub'), name, secret);
    if (made === undefined) throw new Error('no credential');
    // The tools' own file: a magic number, a version, both structures.
    const header = Buffer.from('badcc0de00000001', 'hex');
    const { credentialBlob, encryptedSecret } = made;
    writeFileSync(
      join(folder, 'credential'),
      Buffer.concat([header, credentialBlob, encryptedSecret]),
    );
    tool('tpm2_startauthsession', '--policy-session', '-S', 'session.ctx');
    tool('tpm2_policysecret', '-S', 'session.ctx', '-c', 'e');
    const keys = ['-c', 'ak.ctx', '-C', 'ek.ctx', '-P', 'session:session.ctx'];
    tool('tpm2_activatecredential', ...keys, '-i', 'credential', '-o', 'opened');
    tpm.tool('tpm2_flushcontext', ['session.ctx'], folder);
    expect(file('opened').equals(secret)).toBe(true);
  },
);

it('what tpm2_makecredential makes, the host has its TPM open; what it certifies is as said', async () => {
  const settings = { device: '/dev/null', simulatorPort: tpm.port };
  const identity = await identifyTpm(settings);
  if (!identity.ok) throw new Error(identity.detail);
  const endorsement = areaOf(identity.value.endorsementPublic);
  const attestation = areaOf(identity.value.attestationKey.publicArea);
  const size = Buffer.from([0, endorsement.bytes.length]);
  writeFileSync(join(folder, 'host-ek.pub'), Buffer.concat([size, endorsement.bytes]));
  const secret = randomBytes(32);
  writeFileSync(join(folder, 'secret'), secret);
  const name = Buffer.from(await nameOf(attestation)).toString('hex');
  const nothing = ['--tcti=none', '-u', 'host-ek.pub', '-s', 'secret', '-n', name];
  tool('tpm2_makecredential', ...nothing, '-o', 'their-credential');
  const credential = file('their-credential').subarray(8);
  const blobEnd = 2 + credential.readUInt16BE(0);
  const keyStore = new TpmKeyStores(settings, join(folder, 'state')).open();
  const spki = await keyStore.ensureKey();
  if (!spki.ok) throw new Error(spki.detail);
  const qualifyingData = createHash('sha256').update('a request').digest();
  const received = {
    blob: credential.subarray(0, blobEnd),
    encryptedSecret: credential.subarray(blobEnd),
  };
  const made = await certifyKey(settings, keyStore, identity.value, received, qualifyingData);
  if (!made.ok) throw new Error(made.detail);
  expect(made.value.secret.equals(secret)).toBe(true);

  const { certifyInfo, signature, keyPublic } = made.value;
  const expected = { attestationKey: attestation, csrSha256: qualifyingData, spki: spki.value };
  const certification = { certifyInfo: new Uint8Array(certifyInfo), signature, keyPublic };
  expect(await verifyCertification(certification, expected)).toEqual({ ok: true });
  const attestationSpki = await spkiOf(attestation.key);
  if (attestationSpki === undefined) throw new Error('no key');
  const pem = createPublicKey({ key: Buffer.from(attestationSpki), format: 'der', type: 'spki' });
  writeFileSync(join(folder, 'ak.pem'), pem.export({ format: 'pem', type: 'spki' }));
  writeFileSync(join(folder, 'certify-info'), certifyInfo);
  writeFileSync(join(folder, 'signature'), signature);
  // Throws where the tool does not agree.
  const signed = ['-m', 'certify-info', '-s', 'signature', '-g', 'sha256'];
  tool('tpm2_verifysignature', '-c', loadExternal('ak.pem'), ...signed);

  const data = randomBytes(100);
  const response = await keyStore.sign(data);
  const key = createPublicKey({ key: Buffer.from(spki.value), format: 'der', type: 'spki' });
  const raw = { key, dsaEncoding: 'ieee-p1363' } as const;
  expect(response.ok && verify('sha256', data, raw, response.value)).toBe(true);
});

function loadExternal(pem: string): string {
  tool('tpm2_loadexternal', '-C', 'n', '-G', 'ecc', '-u', pem, '-c', 'external.ctx');
  return 'external.ctx';
}
