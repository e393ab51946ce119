import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { importVerifyKey, parseCertificate, readDeviceUri } from '@countersign/x509';
import type { JwsAlgorithm } from '../token/compact-jws.ts';
import { NewestEntries } from './newest-entries.ts';

/** What follows from a certificate's bytes alone. That we issued it is known only where its record is. */
export type PresentedCertificate = {
  /** Device id that the certificate names: it selects the shard and proves nothing. */
  readonly claimedDeviceId: string;
  readonly sha256: Uint8Array;
  /** The one algorithm that its key signs with. */
  readonly algorithm: JwsAlgorithm;
  readonly publicKey: CryptoKey;
};

/** Parses a certificate and imports its key; `undefined` when it is not one of ours by its form. */
async function readCertificate(der: Uint8Array): Promise<PresentedCertificate | undefined> {
  const parsed = parseCertificate(der);
  if (!parsed.ok) return undefined;
  const deviceId = readDeviceUri(parsed.value);
  const publicKey = await importVerifyKey(parsed.value.subjectPublicKey);
  if (!deviceId.ok || !publicKey.ok) return undefined;
  return {
    claimedDeviceId: deviceId.value,
    sha256: new Uint8Array(createHash('sha256').update(der).digest()),
    algorithm: parsed.value.subjectPublicKey.jwsAlgorithm,
    publicKey: publicKey.value,
  };
}

const maxRemembered = 4096;
/** Ours are half as long. Whatever a page sends reaches this, and must not fill the memory. */
const maxRememberedCharacters = 4096;

/**
 * Reads the certificates that devices present. The same bytes always read the same, and devices come back several
 * times a day, so that the newest few thousand results are kept: parsing and the import of the key are a tenth of a
 * sign-in. Nothing about a certificate's standing is remembered.
 */
export class PresentedCertificates {
  readonly #remembered = new NewestEntries<PresentedCertificate>(maxRemembered);

  /** @param base64 the one member of an `x5c` header (RFC 7515 section 4.1.6: base64, not base64url) */
  async read(base64: string): Promise<PresentedCertificate | undefined> {
    const known = this.#remembered.get(base64);
    if (known !== undefined) return known;
    const certificate = await readCertificate(new Uint8Array(Buffer.from(base64, 'base64')));
    if (certificate !== undefined && base64.length <= maxRememberedCharacters) {
      this.#remembered.set(base64, certificate);
    }
    return certificate;
  }
}
