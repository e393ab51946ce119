import type { KeyObject } from 'node:crypto';
import { decodeBase64url } from '@countersign/protocol';
import { parseStrictJsonBytes } from '@countersign/protocol/strict-json';
import { compactVerify } from 'jose';

/** A compact JWS (RFC 7515 section 7.1), taken apart. Nothing in it has been verified. */
export type UnverifiedJws = {
  readonly text: string;
  readonly unverifiedHeader: unknown;
  readonly unverifiedPayload: unknown;
};

/** `undefined` for anything but three parts of canonical base64url, the first two JSON that every reader reads alike. */
export function openJws(text: string): UnverifiedJws | undefined {
  const parts = text.split('.').map(decodeBase64url);
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || !header || !payload || !signature) return undefined;
  const [unverifiedHeader, unverifiedPayload] = [header, payload].map(parseStrictJsonBytes);
  if (!unverifiedHeader?.ok || !unverifiedPayload?.ok) return undefined;
  return {
    text,
    unverifiedHeader: unverifiedHeader.value,
    unverifiedPayload: unverifiedPayload.value,
  };
}

/** ES256 (RFC 7518 section 3.4), whatever the header says. The caller chose the key. */
export async function isSignedBy(jws: UnverifiedJws, key: KeyObject): Promise<boolean> {
  try {
    await compactVerify(jws.text, key, { algorithms: ['ES256'] });
    return true;
  } catch {
    return false;
  }
}
