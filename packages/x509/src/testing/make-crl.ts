import { assembleCrl, buildCrlToBeSigned, type CrlFields } from '../build-crl.ts';
import type { Bytes } from '../bytes.ts';
import { CrlEntries } from '../crl-entries.ts';
import type { RevokedCertificate } from '../parse-crl.ts';
import { day, must, signRaw, start, type TestAuthority } from './make-certificates.ts';

export const distributionPoint = 'http://ca.example/crl/issuer/7.crl';

export function entriesOf(revoked: readonly RevokedCertificate[]): CrlEntries {
  const entries = new CrlEntries();
  for (const { serialNumber, revokedAtMs, reason } of revoked) {
    entries.append(Buffer.from(serialNumber, 'hex'), revokedAtMs, reason);
  }
  return entries;
}

export const crlFields = (overrides: Partial<CrlFields> = {}): CrlFields => ({
  number: 1,
  thisUpdateMs: start,
  nextUpdateMs: start + 4 * day,
  distributionPoints: [distributionPoint],
  entries: new CrlEntries(),
  ...overrides,
});

export async function signCrl(authority: TestAuthority, fields: CrlFields): Promise<Bytes> {
  const { issuingCa, issuingKey } = authority;
  const toBeSigned = must(buildCrlToBeSigned(fields, issuingCa));
  const signature = await signRaw(issuingKey.privateKey, toBeSigned, issuingKey.publicKey.kind);
  return must(assembleCrl(toBeSigned, signature, issuingCa));
}
