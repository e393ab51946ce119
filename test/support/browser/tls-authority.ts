import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

/** A certificate authority for the web servers of one test run. */
export type TlsAuthority = {
  readonly certificateDer: Uint8Array;
  readonly certificatePem: string;
  /** Key and certificate, PEM, for a server with these host names. */
  issue(hostNames: readonly string[]): Promise<{ readonly key: string; readonly cert: string }>;
};

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 86_400_000;

export async function createTlsAuthority(now: Date): Promise<TlsAuthority> {
  x509.cryptoProvider.set(crypto);
  const validity = {
    notBefore: new Date(now.getTime() - dayMs),
    notAfter: new Date(now.getTime() + 30 * dayMs),
  };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Web servers of a test run',
    keys: keys,
    signingAlgorithm: algorithm,
    ...validity,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return {
    certificateDer: new Uint8Array(authority.rawData),
    certificatePem: authority.toString('pem'),
    async issue(hostNames) {
      const serverKeys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${hostNames[0]}`,
        issuer: authority.subject,
        signingKey: keys.privateKey,
        publicKey: serverKeys.publicKey,
        signingAlgorithm: algorithm,
        ...validity,
        extensions: [
          new x509.SubjectAlternativeNameExtension(
            hostNames.map((value) => ({ type: 'dns' as const, value })),
          ),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        ],
      });
      const key = await crypto.subtle.exportKey('pkcs8', serverKeys.privateKey);
      return {
        key: x509.PemConverter.encode(key, 'PRIVATE KEY'),
        cert: certificate.toString('pem'),
      };
    },
  };
}
