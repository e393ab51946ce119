import { describe, expect, it } from 'vitest';
import { assembleCertificationRequest } from './build-certification-request.ts';
import { parseCertificate } from './certificate.ts';
import { parseCertificationRequest, verifyProofOfPossession } from './certification-request.ts';
import { buildIssuingCaRequestInfo } from './issuing-ca-request.ts';
import {
  day,
  leafFields,
  makeAuthority,
  makeKey,
  makeLeaf,
  must,
  signRaw,
  start,
} from './testing/make-certificates.ts';
import { verifyIssuingChain } from './verify-issuing-chain.ts';

const authority = await makeAuthority();
const stranger = await makeAuthority();
const { root, issuingCa, issuingKey } = authority;

describe('the request of an issuing authority', () => {
  it('proves its key', async () => {
    const info = must(
      buildIssuingCaRequestInfo(issuingKey.publicKey, 'MTLS Certificate Authority'),
    );
    const signature = await signRaw(issuingKey.privateKey, info);
    const der = must(assembleCertificationRequest(info, signature, issuingKey.publicKey));
    const request = must(parseCertificationRequest(der));
    expect(request.subject.commonName).toBe('MTLS Certificate Authority');
    expect(must(await verifyProofOfPossession(request)).spki).toEqual(issuingKey.publicKey.spki);
  });
});

describe('a chain that comes back', () => {
  const verify = (...chain: Parameters<typeof verifyIssuingChain>[0]) =>
    verifyIssuingChain(chain, issuingKey.publicKey, start);

  it('is taken in either order', async () => {
    expect(must(await verify(issuingCa, root))).toEqual({ issuingCa, root });
    expect(must(await verify(root, issuingCa))).toEqual({ issuingCa, root });
  });

  it('is refused without the root, with more, or for another key', async () => {
    expect(await verify(issuingCa)).toMatchObject({ reason: 'issuer_mismatch' });
    expect(await verify(root)).toMatchObject({ reason: 'issuer_mismatch' });
    expect(await verify(issuingCa, root, stranger.root)).toMatchObject({ ok: false });
    expect(await verify(issuingCa, root, issuingCa)).toMatchObject({ ok: false });
    expect(await verify(stranger.issuingCa, stranger.root)).toMatchObject({
      reason: 'issuer_mismatch',
    });
  });

  it('is refused under a root of the same name, or one that is not self-signed', async () => {
    expect(await verify(issuingCa, stranger.root)).toMatchObject({ ok: false });
    const forged = { ...root, toBeSigned: new Uint8Array([...root.toBeSigned, 0]) };
    expect(await verify(issuingCa, forged)).toMatchObject({ reason: 'signature_invalid' });
    expect(await verify(issuingCa, stranger.issuingCa)).toMatchObject({
      reason: 'issuer_mismatch',
    });
  });

  it('is refused for a certificate that is no issuing authority, and after its end', async () => {
    const device = await makeKey();
    const leaf = must(parseCertificate(await makeLeaf(authority, leafFields(device.publicKey))));
    expect(await verifyIssuingChain([leaf, root], device.publicKey, start)).toMatchObject({
      ok: false,
    });
    const late = issuingCa.notAfterMs + day;
    expect(await verifyIssuingChain([issuingCa, root], issuingKey.publicKey, late)).toMatchObject({
      reason: 'expired',
    });
  });
});
