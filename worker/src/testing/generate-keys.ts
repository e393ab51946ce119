/** Key pairs for tests; the types of `generateKey` leave open whether it makes one key or two. */
type Algorithm = SubtleCryptoGenerateKeyAlgorithm;

export async function generateKeys(
  algorithm: Algorithm,
  usages: readonly string[],
): Promise<CryptoKeyPair> {
  const keys = await crypto.subtle.generateKey(algorithm, true, [...usages]);
  if (!('privateKey' in keys)) throw new TypeError('this algorithm has no key pairs');
  return keys;
}

export const ecdsaKeys = (namedCurve = 'P-256') =>
  generateKeys({ name: 'ECDSA', namedCurve }, ['sign', 'verify']);

export const ecdhKeys = (namedCurve = 'P-256') =>
  generateKeys({ name: 'ECDH', namedCurve }, ['deriveBits']);

export const rsaKeys = (modulusLength = 2048) =>
  generateKeys(
    {
      name: 'RSASSA-PKCS1-v1_5',
      modulusLength,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: 'SHA-256',
    },
    ['sign', 'verify'],
  );
