import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  activateCredential,
  aesCfb,
  type FakeKeyKind,
  type FakeTpmKey,
  makeAttestationKey,
  makeEndorsementKey,
} from '../../testing/fake-tpm.ts';
import { makeCredential } from './make-credential.ts';
import { nameOf, parsePublicArea } from './public-area.ts';

const attestationKey = makeAttestationKey();

async function credentialFor(endorsement: FakeTpmKey, secret: Uint8Array) {
  const area = parsePublicArea(endorsement.publicArea);
  const attestation = parsePublicArea(attestationKey.publicArea);
  if (!area.ok || !attestation.ok) throw new Error('not a public area');
  const made = await makeCredential(area.value, await nameOf(attestation.value), secret);
  if (made === undefined) throw new Error('no credential');
  return made;
}

describe.each<[FakeKeyKind, number]>([
  ['rsa', 128],
  ['rsa', 256],
  ['P-256', 128],
  ['P-384', 256],
])('a credential for an endorsement key of %s with AES-%i', (kind, bits) => {
  // The fake derives a key as long as the name's hash asks for, as makers' templates do.
  const nameAlg = bits === 256 ? 0x0c : 0x0b;
  const endorsement = makeEndorsementKey(kind, { symmetric: aesCfb(bits), nameAlg });

  it.each([1, 16, 31, 32])('is opened by the TPM with both keys: %i bytes', async (length) => {
    const secret = randomBytes(length);
    const made = await credentialFor(endorsement, secret);
    const { credentialBlob, encryptedSecret } = made;
    const opened = activateCredential(
      endorsement,
      attestationKey.publicArea,
      credentialBlob,
      encryptedSecret,
    );
    expect(opened?.equals(secret)).toBe(true);
  });

  it('is opened with no other attestation key, and not when a byte of it was changed', async () => {
    const made = await credentialFor(endorsement, randomBytes(32));
    const open = (publicArea: Buffer, blob: Uint8Array) =>
      activateCredential(endorsement, publicArea, blob, made.encryptedSecret);
    expect(open(makeAttestationKey().publicArea, made.credentialBlob)).toBeUndefined();
    const changed = made.credentialBlob.with(-1, (made.credentialBlob.at(-1) ?? 0) ^ 1);
    expect(open(attestationKey.publicArea, changed)).toBeUndefined();
  });

  it('is another one each time', async () => {
    const secret = randomBytes(32);
    const [one, other] = [
      await credentialFor(endorsement, secret),
      await credentialFor(endorsement, secret),
    ];
    expect(one.credentialBlob).not.toEqual(other.credentialBlob);
    expect(one.encryptedSecret).not.toEqual(other.encryptedSecret);
  });
});

it('is not made for a point that is not on its curve', async () => {
  const area = parsePublicArea(makeEndorsementKey('P-256').publicArea);
  if (!area.ok || area.value.key.kind === 'rsa') throw new Error('not a point');
  const { key } = area.value;
  const off = { ...area.value, key: { ...key, y: key.y.with(31, (key.y[31] ?? 0) ^ 1) } };
  expect(await makeCredential(off, new Uint8Array(34), new Uint8Array(32))).toBeUndefined();
});
