import { createHash } from 'node:crypto';
import { developmentPublicKey } from '../../extension/development-key.ts';

/** Chromium's rule: SHA-256 of the extension's public key, its first 128 bits in the letters a to p. */
export const developmentExtensionId = createHash('sha256')
  .update(Buffer.from(developmentPublicKey, 'base64'))
  .digest('hex')
  .slice(0, 32)
  .replace(/./g, (digit) => String.fromCharCode(97 + Number.parseInt(digit, 16)));
