import { encodeBase64url } from '@countersign/protocol';
import { organizationSecretJwk } from '@countersign/protocol/admin-integrations';
import { base64urlOf } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';

const exportedKey = z.extend(organizationSecretJwk, { d: base64urlOf(32) });

export const randomId = () => encodeBase64url(crypto.getRandomValues(new Uint8Array(16)));
export const randomSecret = () => encodeBase64url(crypto.getRandomValues(new Uint8Array(32)));

/**
 * A new organization secret (P-256): its text, which is shown once and kept nowhere, and what the broker keeps, which
 * verifies requests and makes none.
 */
export async function makeOrganizationSecret(integrationId: string) {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  if (!('privateKey' in pair)) throw new TypeError('ECDSA keys come in pairs');
  const { d, ...public_jwk } = exportedKey.parse(
    await crypto.subtle.exportKey('jwk', pair.privateKey),
  );
  return {
    text: `cses_${integrationId}_${d}`,
    secret: { secret_id: `sec_${randomId()}`, public_jwk },
  };
}
