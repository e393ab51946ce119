import { join } from 'node:path';
import type { TokenKeyPurpose } from '../rotation/token-keys.ts';

/** What lies where in the data folder. Everything in it belongs to the server's user alone. */

export const directoryMode = 0o700;
export const fileMode = 0o600;

/** Private keys of authorities, PKCS#8 PEM. Token keys have files of their own, because they come and go. */
export const privateKeyNames = ['root', 'issuer', 'key-set-signer'] as const;
export type PrivateKeyName = (typeof privateKeyNames)[number];

export const certificateNames = ['root', 'issuer', 'key-set-signer'] as const;
export type CertificateName = (typeof certificateNames)[number];

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
    /** 32 bytes: the HMAC key that turns a hardware id into a device id. */
    deviceIdKey: join(directory, 'keys', 'device-id.key'),
    certificates: join(directory, 'certificates'),
    certificate: (name: CertificateName) => join(directory, 'certificates', `${name}.pem`),
    /** Self-made TLS key and certificate; made again whenever they are missing or near their end. */
    tls: join(directory, 'tls'),
    tlsKey: join(directory, 'tls', 'key.pem'),
    tlsCertificate: join(directory, 'tls', 'certificate.pem'),
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

/** Files that must exist, relative to the data folder; and those of the token keys. */
export const requiredFiles: readonly string[] = [
  'deployment.json',
  'owner-token',
  'key-set.jws',
  'token-keys.json',
  'keys/device-id.key',
  ...privateKeyNames.map((name) => `keys/${name}.pem`),
  ...certificateNames.map((name) => `certificates/${name}.pem`),
];
