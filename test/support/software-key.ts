import { createDecipheriv, createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readEnrollment } from '@countersign/native-host';
import * as z from 'zod/mini';
import { type ClientKeyPair, pemOf } from './mtls-client.ts';

const wrappedKey = z.object({
  public_key: z.string(),
  iv: z.string(),
  ciphertext: z.string(),
  tag: z.string(),
});

const bytes = (text: string) => Buffer.from(text, 'base64url');

/**
 * A device's key and certificate out of the host's state folder: what anybody could do who can read both of its files.
 * With a key that a token or a TPM holds there is no such function.
 */
export function takeSoftwareKey(stateDirectory: string): ClientKeyPair {
  const enrollment = readEnrollment(stateDirectory);
  if (!enrollment.ok || enrollment.value === undefined) throw new Error('there is no enrollment');
  const { leafCertificate, keyId } = enrollment.value;
  const suffix = keyId === undefined ? '' : `-${keyId}`;
  const text = readFileSync(join(stateDirectory, `device-key${suffix}.json`), 'utf8');
  const { public_key, iv, ciphertext, tag } = wrappedKey.parse(JSON.parse(text));
  const wrappingKey = readFileSync(join(stateDirectory, `wrapping${suffix}.key`));
  const decipher = createDecipheriv('aes-256-gcm', wrappingKey, bytes(iv));
  decipher.setAAD(Buffer.concat([Buffer.from('countersign device key 1\0'), bytes(public_key)]));
  decipher.setAuthTag(bytes(tag));
  const pkcs8 = Buffer.concat([decipher.update(bytes(ciphertext)), decipher.final()]);
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return {
    key: String(key.export({ format: 'pem', type: 'pkcs8' })),
    cert: pemOf(leafCertificate),
  };
}
