import { equalBytes } from './bytes.ts';
import { type ParsedCertificate, verifyCertificateSignature } from './certificate.ts';
import { fail, succeed, type X509Result } from './result.ts';
import type { SubjectPublicKey } from './subject-public-key.ts';
import { verifyIssuedBy } from './verify-issued-by.ts';

export interface IssuingChain {
  readonly issuingCa: ParsedCertificate;
  readonly root: ParsedCertificate;
}

/**
 * Checks a chain that came back for a request of an issuing authority: exactly the issuing certificate
 * and its root, in either order; for this key; the root self-signed and one that may have an authority
 * under it; both valid at `nowMs`; the issuing certificate of the profile that was asked for. Whether
 * the root is the right one is for the caller to know: it is given, or compared with a pinned one.
 */
export async function verifyIssuingChain(
  unverifiedCertificates: readonly ParsedCertificate[],
  key: SubjectPublicKey,
  nowMs: number,
): Promise<X509Result<IssuingChain>> {
  const isOfKey = ({ subjectPublicKey }: ParsedCertificate) =>
    equalBytes(subjectPublicKey.spki, key.spki);
  const issuingCa = unverifiedCertificates.find(isOfKey);
  const [root, more] = unverifiedCertificates.filter((one) => !isOfKey(one));
  if (issuingCa === undefined) return fail('issuer_mismatch', 'chain: no certificate of the key');
  if (root === undefined || more !== undefined || unverifiedCertificates.length !== 2) {
    return fail('issuer_mismatch', 'chain: not the issuing certificate and its root');
  }
  if (!equalBytes(root.issuer.der, root.subject.der)) {
    return fail('issuer_mismatch', 'root: made under another authority');
  }
  const selfSigned = await verifyCertificateSignature(root, root.subjectPublicKey);
  if (!selfSigned.ok) return fail(selfSigned.reason, `root: ${selfSigned.detail}`);
  const issued = await verifyIssuedBy(issuingCa, root, 'issuing-ca', nowMs);
  return issued.ok ? succeed({ issuingCa, root }) : issued;
}
