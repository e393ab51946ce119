import { randomBytes } from 'node:crypto';
import { encodeBase64url } from '@countersign/protocol';
import { type RenewalRequestClaims, renewalRequestTyp } from '@countersign/protocol/enrollment';
import { encodeSigningInput } from '../attest/compact-jws.ts';
import type { KeyStore, KeyStoreReason } from '../keystore/keystore.ts';
import { type Result, succeed } from '../result.ts';

/**
 * A renewal request, signed by the key that is certified now. Not a handshake with a client certificate: Node's TLS
 * takes no key that stays in its keystore.
 */
export async function signRenewalRequest(request: {
  readonly brokerUrl: string;
  /** DER, of the certificate that is to be renewed. */
  readonly leafCertificate: Uint8Array;
  readonly keyStore: KeyStore;
  readonly nowSeconds: number;
  /** PKCS#10, DER, of the key that is to follow; without it the current one is certified again. */
  readonly rekeyCsr?: Uint8Array;
}): Promise<Result<string, KeyStoreReason>> {
  const claims: RenewalRequestClaims = {
    aud: request.brokerUrl,
    iat: request.nowSeconds,
    jti: encodeBase64url(randomBytes(16)),
    ...(request.rekeyCsr === undefined ? {} : { rekey_csr: encodeBase64url(request.rekeyCsr) }),
  };
  const header = {
    alg: 'ES256',
    typ: renewalRequestTyp,
    x5c: [Buffer.from(request.leafCertificate).toString('base64')],
  };
  const signingInput = encodeSigningInput(header, claims);
  const signature = await request.keyStore.sign(Buffer.from(signingInput));
  return signature.ok ? succeed(`${signingInput}.${encodeBase64url(signature.value)}`) : signature;
}
