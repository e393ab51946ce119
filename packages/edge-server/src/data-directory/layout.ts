import { join } from 'node:path';
import type { TokenKeyPurpose } from '../rotation/token-keys.ts';
import { type IssuerName, type Issuers, issuerNames } from './issuers.ts';

/** What lies where in the data folder. Everything in it belongs to the server's user alone. */

export const directoryMode = 0o700;
export const fileMode = 0o600;

/** Private keys of authorities, PKCS#8 PEM. Token keys have files of their own, because they come and go. */
export type PrivateKeyName = 'root' | 'key-set-signer' | IssuerName;
export type CertificateName = PrivateKeyName;

export function dataPaths(directory: string) {
  return {
    deployment: join(directory, 'deployment.json'),
    ownerToken: join(directory, 'owner-token'),
    keySet: join(directory, 'key-set.jws'),
    keys: join(directory, 'keys'),
    privateKey: (name: PrivateKeyName) => join(directory, 'keys', `${name}.pem`),
    /** PKCS#8 PEM. */
    tokenKey: (purpose: TokenKeyPurpose, kid: string) =>
      join(directory, 'keys', `${purpose}-${kid}.pem`),
    /** Which token key is for what. */
    tokenKeys: join(directory, 'token-keys.json'),
    /** For the server that runs on this folder, until it has seen to it. */
    rotationRequest: join(directory, 'rotation-request.json'),
    /** Which issuers there are. */
    issuers: join(directory, 'issuers.json'),
    /** PKCS#8 PEM, RSA with 2048 bits. */
    scepRaKey: join(directory, 'keys', 'scep-ra.pem'),
    /** Of that key, under one of the issuers. */
    scepRaCertificate: (issuer: IssuerName) =>
      join(directory, 'certificates', `${issuer.replace('issuer', 'scep-ra')}.pem`),
    /** Held by a command that changes which issuers there are. */
    issuersLock: join(directory, 'issuers.lock'),
    /** 32 bytes: the AES key that seals secrets which the broker keeps. */
    storedSecretsKey: join(directory, 'keys', 'stored-secrets.key'),
    /** 32 bytes: the HMAC key that turns a hardware id into a device id. */
    deviceIdKey: join(directory, 'keys', 'device-id.key'),
    certificates: join(directory, 'certificates'),
    certificate: (name: CertificateName) => join(directory, 'certificates', `${name}.pem`),
    /** Self-made TLS key and certificate; made again whenever they are missing or near their end. */
    tls: join(directory, 'tls'),
    tlsKey: join(directory, 'tls', 'key.pem'),
    tlsCertificate: join(directory, 'tls', 'certificate.pem'),
    /** What a server on this folder was last told. */
    served: join(directory, 'served.json'),
    /** How far the syslog receiver has got the log. */
    syslogCursor: join(directory, 'syslog-cursor.json'),
    /** Where workerd keeps the Durable Objects' databases. */
    durableObjects: join(directory, 'durable-objects'),
    /** Written anew at every start; holds no secret. */
    workerdConfiguration: join(directory, 'workerd.capnp'),
    lock: join(directory, 'server.lock'),
    /** Which processes run on this folder, for the message of a second server and for cleaning up after a crash. */
    runRecord: join(directory, 'server.json'),
  } as const;
}
export type DataPaths = ReturnType<typeof dataPaths>;

/** Folders that must exist, relative to the data folder. */
export const requiredDirectories = ['.', 'keys', 'certificates', 'durable-objects'] as const;

/** Files that must exist, relative to the data folder; and those of the token keys and of the issuers. */
export const requiredFiles: readonly string[] = [
  'deployment.json',
  'owner-token',
  'key-set.jws',
  'token-keys.json',
  'issuers.json',
  'keys/device-id.key',
  'keys/key-set-signer.pem',
  'keys/scep-ra.pem',
  'keys/stored-secrets.key',
  'certificates/root.pem',
  'certificates/key-set-signer.pem',
];

/** The root's key may be kept elsewhere. Where it is here, nobody else may read it. */
export const rootKeyFile = 'keys/root.pem';

/** Files that must exist for these issuers, relative to the data folder. */
export function issuerFiles(issuers: Issuers): readonly string[] {
  return [
    ...issuerNames(issuers).map((name) => `keys/${name}.pem`),
    ...issuers.active.map((name) => `certificates/${name}.pem`),
  ];
}
