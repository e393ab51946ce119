import { createHash, randomBytes } from 'node:crypto';
import { compactDecrypt } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { FakeEndorsementAuthority } from '../../testing/fake-endorsement-authority.ts';
import {
  activateCredential,
  attestationAttributes,
  certifyInfoOf,
  deviceAttributes,
  type FakeTpmKey,
  fakeName,
  makeAttestationKey,
  makeDeviceKey,
  makeEndorsementKey,
  type PublicAreaOptions,
  tpmSignature,
} from '../../testing/fake-tpm.ts';
import { beginAttestation } from './begin-attestation.ts';
import {
  type HardwareAttestationExpectations,
  type HardwareAttestedAuthority,
  verifyHardwareAttestation,
} from './verify-hardware-attestation.ts';

const nowMs = Date.UTC(2026, 10, 22);
const integrationId = `int_${'A'.repeat(22)}`;
const maker = FakeEndorsementAuthority.root('TPM Maker', nowMs);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();

const endorsement = makeEndorsementKey('P-256');
const attestation = makeAttestationKey();
const device = makeDeviceKey();
const csr = randomBytes(300);
const deviceId = 'device-of-the-tpm';

let storedSecretsKey: CryptoKey;
const rawSecretsKey = randomBytes(32);
beforeAll(async () => {
  storedSecretsKey = await importSealKey(rawSecretsKey);
});

const importSealKey = (raw: Uint8Array) =>
  crypto.subtle.importKey('raw', new Uint8Array(raw), 'AES-GCM', false, ['encrypt', 'decrypt']);

const listed = {
  roots_pem: [maker.pem],
  endorsement_keys: 'listed' as const,
  listed_sha256: [text(digestOf(endorsement.spki))],
};
type Settings = Omit<typeof listed, 'endorsement_keys'> & {
  endorsement_keys: 'listed' | 'any_with_secret';
};

function begin(
  changes: Readonly<Record<string, unknown>> = {},
  settings: Settings = listed,
  endorsementKey = endorsement,
) {
  const certificate = maker.certify(new Uint8Array(endorsementKey.spki), {
    usages: ['keyAgreement'],
  });
  return beginAttestation(
    { storedSecretsKey, nowMs },
    { integration_id: integrationId, attestation: settings },
    deviceId,
    {
      integration_id: integrationId,
      hardware_id: { serial_number: 'TPM-0001' },
      endorsement_certificate: text(certificate),
      endorsement_public: text(endorsementKey.publicArea),
      attestation_public: text(attestation.publicArea),
      ...changes,
    },
  );
}

type Made = {
  readonly attestation?: FakeTpmKey;
  readonly device?: FakeTpmKey;
  readonly certifyInfo?: Buffer;
  readonly signature?: Buffer;
  readonly keyPublic?: Buffer;
  readonly secret?: Buffer;
};

/** Both steps of a TPM that does as it should, but for what is given. */
async function authorityOf(made: Made = {}): Promise<HardwareAttestedAuthority> {
  const { attestation: signer = attestation, device: key = device } = made;
  const begun = await begin({ attestation_public: text(signer.publicArea) });
  if (!begun.ok) throw new Error(begun.code);
  const { credential_blob, encrypted_secret } = begun.answer;
  const [blob, encrypted] = [credential_blob, encrypted_secret].map((each) =>
    Buffer.from(each, 'base64url'),
  );
  const opened = activateCredential(
    endorsement,
    signer.publicArea,
    blob ?? Buffer.alloc(0),
    encrypted ?? Buffer.alloc(0),
  );
  const certifyInfo = made.certifyInfo ?? certifyInfoOf(key, digestOf(csr));
  return {
    type: 'hardware_attested',
    attestation: begun.answer.attestation,
    secret: text(made.secret ?? opened ?? Buffer.alloc(32)),
    key_public: text(made.keyPublic ?? key.publicArea),
    certify_info: text(certifyInfo),
    certify_signature: text(made.signature ?? tpmSignature(signer, certifyInfo)),
  };
}

async function verify(
  authority: HardwareAttestedAuthority,
  changes: Partial<HardwareAttestationExpectations> = {},
) {
  return await verifyHardwareAttestation(authority, {
    storedSecretsKey,
    findIntegration: (id) => (id === integrationId ? { attestation: listed } : undefined),
    deviceId,
    csr,
    spki: device.spki,
    nowMs: nowMs + 60_000,
    ...changes,
  });
}

const refused = (code: string, member: string) => ({
  ok: false,
  code,
  field: `authority.${member}`,
  detail: expect.any(String),
});

describe('a device key that a listed TPM has certified', () => {
  it('permits the enrollment, and names the TPM', async () => {
    const result = await verify(await authorityOf());
    expect(result).toMatchObject({ ok: true, integrationId, needsProof: false });
    expect(result.ok && digestOf(endorsement.spki).equals(result.endorsementKeySha256)).toBe(true);
  });

  it('permits the same again, for as long as the attestation lasts', async () => {
    const authority = await authorityOf();
    expect(await verify(authority)).toMatchObject({ ok: true });
    expect(await verify(authority, { nowMs: nowMs + 299_999 })).toMatchObject({ ok: true });
  });

  it('needs a proof beside it where the integration takes any TPM', async () => {
    const settings = { ...listed, endorsement_keys: 'any_with_secret' as const, listed_sha256: [] };
    const begun = await begin({}, settings);
    expect(begun).toMatchObject({ ok: true });
    const findIntegration = () => ({ attestation: settings });
    const result = await verify(await authorityOf(), { findIntegration });
    expect(result).toMatchObject({ ok: true, needsProof: true });
  });
});

describe('the first step refuses', () => {
  const attestationKeys: ReadonlyArray<readonly [string, PublicAreaOptions]> = [
    ['a key that signs whatever it is given', { attributes: attestationAttributes & ~(1 << 16) }],
    ['a key that may be copied', { attributes: attestationAttributes & ~(1 << 1) }],
    ['a key that may get another parent', { attributes: attestationAttributes & ~(1 << 4) }],
    ['a key that was brought along', { attributes: attestationAttributes & ~(1 << 5) }],
    ['a key that does not sign', { attributes: attestationAttributes & ~(1 << 18) }],
    ['a key that decrypts', { attributes: attestationAttributes | (1 << 17) }],
    ['a key that signs certificates', { attributes: attestationAttributes | (1 << 19) }],
    ['a key without a scheme', { scheme: Buffer.from([0, 0x10]) }],
    ['a key of another scheme', { scheme: Buffer.from([0, 0x1c, 0, 0x0b]) }],
    ['a key with SHA-1', { scheme: Buffer.from([0, 0x18, 0, 0x04]) }],
    ['a name by SHA-384', { nameAlg: 0x0c }],
  ];
  it.each(attestationKeys)('#34 as attestation key %s', async (_, options) => {
    const { publicArea } = makeAttestationKey(options);
    expect(await begin({ attestation_public: text(publicArea) })).toMatchObject({
      code: 'attestation_key_not_allowed',
    });
  });

  it('as attestation key one on another curve, or none at all', async () => {
    for (const publicArea of [makeAttestationKey({}, 'P-384').publicArea, Buffer.alloc(9)]) {
      expect(await begin({ attestation_public: text(publicArea) })).toMatchObject({
        code: 'attestation_key_not_allowed',
        field: 'attestation_public',
      });
    }
  });

  it('a TPM that is not on the list, and says which it is', async () => {
    const other = makeEndorsementKey('P-256');
    expect(await begin({}, listed, other)).toMatchObject({
      code: 'endorsement_key_not_allowed',
      detail: expect.stringContaining(text(digestOf(other.spki))),
    });
  });
});

describe('the second step refuses', () => {
  it('#34 an attestation that expired, whatever else is right', async () => {
    const authority = await authorityOf();
    expect(await verify(authority, { nowMs: nowMs + 300_000 })).toEqual(
      refused('attestation_expired', 'attestation'),
    );
  });

  it("#34 another device's attestation", async () => {
    expect(await verify(await authorityOf(), { deviceId: 'another-device' })).toEqual(
      refused('attestation_wrong_device', 'attestation'),
    );
  });

  it('#34 a credential that was opened by nobody, or by a TPM with another attestation key', async () => {
    const begun = await begin();
    if (!begun.ok) throw new Error(begun.code);
    const other = makeAttestationKey();
    const [blob, encrypted] = [begun.answer.credential_blob, begun.answer.encrypted_secret].map(
      (each) => Buffer.from(each, 'base64url'),
    );
    if (blob === undefined || encrypted === undefined) throw new Error('no credential');
    expect(activateCredential(endorsement, other.publicArea, blob, encrypted)).toBeUndefined();
    for (const secret of [randomBytes(32), Buffer.alloc(32)]) {
      expect(await verify(await authorityOf({ secret }))).toEqual(
        refused('attestation_secret_wrong', 'secret'),
      );
    }
  });

  it('#34 the secret of another attestation of the same TPM', async () => {
    const [one, other] = [await authorityOf(), await authorityOf()];
    expect(await verify({ ...one, secret: other.secret })).toEqual(
      refused('attestation_secret_wrong', 'secret'),
    );
  });

  it('#34 a replayed attestation, with another request', async () => {
    expect(await verify(await authorityOf(), { csr: randomBytes(300) })).toEqual(
      refused('attestation_wrong_request', 'certify_info'),
    );
  });

  it('#34 a certification that the attestation key did not sign', async () => {
    const signature = tpmSignature(makeAttestationKey(), certifyInfoOf(device, digestOf(csr)));
    const ofOtherData = tpmSignature(attestation, randomBytes(100));
    for (const wrong of [signature, ofOtherData]) {
      expect(await verify(await authorityOf({ signature: wrong }))).toEqual(
        refused('attestation_signature_invalid', 'certify_signature'),
      );
    }
  });

  it('#34 a key that was not certified: another one, or another in the request', async () => {
    const software = makeDeviceKey();
    expect(await verify(await authorityOf({ keyPublic: software.publicArea }))).toEqual(
      refused('attested_key_mismatch', 'key_public'),
    );
    expect(await verify(await authorityOf(), { spki: software.spki })).toEqual(
      refused('attested_key_mismatch', 'key_public'),
    );
    const name = fakeName(software.publicArea);
    const certifyInfo = certifyInfoOf(device, digestOf(csr), { name });
    expect(await verify(await authorityOf({ certifyInfo }))).toEqual(
      refused('attested_key_mismatch', 'key_public'),
    );
  });

  it.each<[string, number]>([
    ['may be copied to another TPM', deviceAttributes & ~(1 << 1)],
    ['may get another parent', deviceAttributes & ~(1 << 4)],
    ['was brought along', deviceAttributes & ~(1 << 5)],
    ['does not sign', deviceAttributes & ~(1 << 18)],
    ['decrypts too', deviceAttributes | (1 << 17)],
    ['is restricted', deviceAttributes | (1 << 16)],
    ['goes out encrypted', deviceAttributes | (1 << 11)],
    ['signs certificates', deviceAttributes | (1 << 19)],
  ])('#34 a key that %s', async (_, attributes) => {
    const key = makeDeviceKey({ attributes });
    expect(await verify(await authorityOf({ device: key }), { spki: key.spki })).toEqual(
      refused('attested_key_not_protected', 'key_public'),
    );
  });

  it.each<[string, Made, string]>([
    [
      'what no TPM has made',
      { certifyInfo: certifyInfoOf(device, digestOf(csr), { magic: 0 }) },
      'certify_info',
    ],
    [
      'a quote',
      { certifyInfo: certifyInfoOf(device, digestOf(csr), { type: 0x8018 }) },
      'certify_info',
    ],
    [
      'bytes behind it',
      { certifyInfo: Buffer.concat([certifyInfoOf(device, digestOf(csr)), Buffer.alloc(1)]) },
      'certify_info',
    ],
    ['nothing', { certifyInfo: Buffer.alloc(1) }, 'certify_info'],
    [
      'a signature of RSA',
      { signature: Buffer.from([0, 0x14, 0, 0x0b, 0, 0]) },
      'certify_signature',
    ],
    [
      'a signature with SHA-1',
      { signature: Buffer.from([0, 0x18, 0, 4, 0, 0, 0, 0]) },
      'certify_signature',
    ],
    [
      'a signature that is too long',
      { signature: Buffer.concat([Buffer.from([0, 0x18, 0, 0x0b, 0, 33]), Buffer.alloc(70)]) },
      'certify_signature',
    ],
    ['a key of another kind', { keyPublic: Buffer.from([0, 8]) }, 'key_public'],
  ])('a structure that is %s', async (_, made, member) => {
    expect(await verify(await authorityOf(made))).toEqual(refused('attestation_malformed', member));
  });

  it('#34 an integration that was deleted, or that does not list the TPM any more', async () => {
    const authority = await authorityOf();
    expect(await verify(authority, { findIntegration: () => undefined })).toEqual(
      refused('attestation_invalid', 'attestation'),
    );
    const findIntegration = () => ({ attestation: { ...listed, listed_sha256: [] } });
    expect(await verify(authority, { findIntegration })).toEqual(
      refused('endorsement_key_not_allowed', 'attestation'),
    );
  });
});

describe("the first step's token", () => {
  it('is a JWE that another library opens, and says nothing of the secret', async () => {
    const authority = await authorityOf();
    const { plaintext, protectedHeader } = await compactDecrypt(
      authority.attestation,
      rawSecretsKey,
    );
    expect(protectedHeader).toEqual({ alg: 'dir', enc: 'A256GCM', typ: 'tpm-attestation+jwt' });
    const claims = JSON.parse(Buffer.from(plaintext).toString());
    expect(claims).toMatchObject({ integration_id: integrationId, exp: nowMs / 1000 + 300 });
    expect(JSON.stringify(claims)).not.toContain(authority.secret);
  });

  it('#34 is refused with any part of it changed, left out or added, and by another broker', async () => {
    const authority = await authorityOf();
    const parts = authority.attestation.split('.');
    const other = Buffer.from('{"alg":"dir","enc":"A256GCM"}').toString('base64url');
    const changed = [
      ...[0, 2, 3, 4].map((index) =>
        parts.with(index, `${parts[index]?.startsWith('A') ? 'B' : 'A'}${parts[index]?.slice(1)}`),
      ),
      parts.with(0, other),
      parts.with(1, 'AAAA'),
      parts.with(4, parts[4]?.slice(0, 20) ?? ''),
      parts.slice(0, 4),
      [...parts, 'AAAA'],
      [''],
    ];
    for (const wrong of changed) {
      expect(await verify({ ...authority, attestation: wrong.join('.') })).toEqual(
        refused('attestation_invalid', 'attestation'),
      );
    }
    const key = await importSealKey(randomBytes(32));
    expect(await verify(authority, { storedSecretsKey: key })).toMatchObject({
      code: 'attestation_invalid',
    });
  });
});
