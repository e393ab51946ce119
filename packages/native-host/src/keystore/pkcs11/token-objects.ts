import { parseCertificate } from '@countersign/x509';
import type { Attribute, Handle } from './cryptoki.ts';
import { CryptokiError } from './cryptoki.ts';
import { CKA, CKC_X_509, CKF, CKM, CKO, CKR, type ObjectClass } from './cryptoki-values.ts';
import { KeyStoreError } from './key-store-error.ts';
import type { TokenScope } from './token-scope.ts';
import type { OpenToken } from './use-token.ts';

/** CKA_EC_PARAMS of P-256: the object identifier 1.2.840.10045.3.1.7, DER. */
const p256Params = Buffer.from('06082a8648ce3d030107', 'hex');
/** SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480 section 2). */
const p256SpkiStart = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
/** An uncompressed point of P-256: 4, x, y. */
const pointBytes = 65;
/** DER: OCTET STRING of `pointBytes`. */
const octetStringStart = Buffer.from([4, pointBytes]);

/** Where a key, or the certificate of one, is on the token. */
export type KeyPlace = { readonly scope: TokenScope; readonly id: Uint8Array };

function find({ cryptoki, session }: OpenToken, objectClass: ObjectClass, id: Uint8Array) {
  return cryptoki.findObjects(session, [
    [CKA.CLASS, objectClass],
    [CKA.ID, id],
  ]);
}

/** The one private key at this place, which cannot be taken out of the token; `undefined` when there is none. */
export function findPrivateKey(token: OpenToken, { id }: KeyPlace): Handle | undefined {
  const [key, ...more] = find(token, CKO.PRIVATE_KEY, id);
  if (key === undefined) return undefined;
  if (more.length > 0) {
    const name = Buffer.from(id).toString('hex');
    throw new KeyStoreError(
      'keystore_key_ambiguous',
      `the token has ${more.length + 1} private keys with CKA_ID ${name}`,
    );
  }
  const isTrue = (type: typeof CKA.SENSITIVE | typeof CKA.EXTRACTABLE) =>
    token.cryptoki.readAttribute(token.session, key, type)[0] === 1;
  if (!isTrue(CKA.SENSITIVE) || isTrue(CKA.EXTRACTABLE)) {
    throw new KeyStoreError('key_exposed', 'the key on the token can be taken out of it');
  }
  return key;
}

/** SubjectPublicKeyInfo (DER) of the key at this place. */
export function readSpki(token: OpenToken, { id }: KeyPlace): Uint8Array {
  const [key, ...more] = find(token, CKO.PUBLIC_KEY, id);
  if (key === undefined || more.length > 0) {
    throw new KeyStoreError('key_damaged', 'the token has not one public key beside the key');
  }
  const read = (type: typeof CKA.EC_PARAMS | typeof CKA.EC_POINT) =>
    Buffer.from(token.cryptoki.readAttribute(token.session, key, type));
  if (!read(CKA.EC_PARAMS).equals(p256Params)) {
    throw new KeyStoreError('key_damaged', 'the key on the token is not a P-256 key');
  }
  const value = read(CKA.EC_POINT);
  // As the standard says, inside an OCTET STRING; some modules give the point alone.
  const point = value.length === pointBytes ? value : value.subarray(octetStringStart.length);
  const isWrapped = value.subarray(0, octetStringStart.length).equals(octetStringStart);
  if (point.length !== pointBytes || point[0] !== 4 || (point !== value && !isWrapped)) {
    throw new KeyStoreError('key_damaged', 'the public key on the token is not a point of P-256');
  }
  return Buffer.concat([p256SpkiStart, point]);
}

/** Says why the token can make no such key, or cannot sign with it. */
export function checkMechanisms({ cryptoki, slot }: OpenToken, isMade: boolean): void {
  const needed = [
    ['CKM_ECDSA', CKM.ECDSA, CKF.SIGN],
    ...(isMade
      ? [['CKM_EC_KEY_PAIR_GEN', CKM.EC_KEY_PAIR_GEN, CKF.GENERATE_KEY_PAIR] as const]
      : []),
  ] as const;
  for (const [name, mechanism, flag] of needed) {
    if (((cryptoki.readMechanismFlags(slot, mechanism) ?? 0) & flag) === 0) {
      throw new KeyStoreError('keystore_token_unsuitable', `the token has no ${name}`);
    }
  }
}

/** Makes a key pair in the token; the private key never leaves it. */
export function generateKey(token: OpenToken, { scope, id }: KeyPlace): void {
  checkMechanisms(token, true);
  const { cryptoki, session } = token;
  const names: readonly Attribute[] = [
    [CKA.TOKEN, true],
    [CKA.LABEL, Buffer.from(scope.label)],
    [CKA.ID, id],
  ];
  cryptoki.generateKeyPair(
    session,
    CKM.EC_KEY_PAIR_GEN,
    [...names, [CKA.EC_PARAMS, p256Params], [CKA.VERIFY, true]],
    [
      ...names,
      [CKA.PRIVATE, true],
      [CKA.SENSITIVE, true],
      [CKA.EXTRACTABLE, false],
      [CKA.SIGN, true],
    ],
  );
  try {
    findPrivateKey(token, { scope, id });
  } catch (error) {
    // A token that takes no notice of what was asked of it.
    destroyAt(token, { scope, id });
    if (!(error instanceof KeyStoreError)) throw error;
    throw new KeyStoreError('keystore_token_unsuitable', `of a key just made: ${error.message}`);
  }
}

export function readCertificates(token: OpenToken, { id }: KeyPlace) {
  return find(token, CKO.CERTIFICATE, id).map((object) => ({
    object,
    der: token.cryptoki.readAttribute(token.session, object, CKA.VALUE),
  }));
}

/** Leaves this certificate, and no other, at the place. */
export function putCertificate(token: OpenToken, place: KeyPlace, der: Uint8Array): void {
  const existing = readCertificates(token, place);
  const same = existing.find((certificate) => Buffer.from(certificate.der).equals(der));
  if (same === undefined) createCertificate(token, place, der);
  destroy(
    token,
    existing.filter((certificate) => certificate !== same).map(({ object }) => object),
  );
}

function createCertificate(
  { cryptoki, session }: OpenToken,
  { scope, id }: KeyPlace,
  der: Uint8Array,
): void {
  const certificate = parseCertificate(der);
  if (!certificate.ok) throw new TypeError(`not a certificate: ${certificate.detail}`);
  const { subject, issuer, serialNumber } = certificate.value;
  cryptoki.createObject(session, [
    [CKA.CLASS, CKO.CERTIFICATE],
    [CKA.CERTIFICATE_TYPE, CKC_X_509],
    [CKA.TOKEN, true],
    [CKA.PRIVATE, false],
    [CKA.LABEL, Buffer.from(scope.label)],
    [CKA.ID, id],
    [CKA.SUBJECT, subject.der],
    [CKA.ISSUER, issuer.der],
    [CKA.SERIAL_NUMBER, encodeSerialNumber(serialNumber)],
    [CKA.VALUE, der],
  ]);
}

/** DER INTEGER of the serial number, at most 20 octets and positive. */
function encodeSerialNumber(hex: string): Uint8Array {
  const octets = Buffer.from(hex, 'hex');
  const positive = (octets[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), octets]) : octets;
  return Buffer.concat([Buffer.of(2, positive.length), positive]);
}

/** The private key first: without it the others are of no use. */
const classesInOrder = [CKO.PRIVATE_KEY, CKO.PUBLIC_KEY, CKO.CERTIFICATE] as const;

export function destroyAt(token: OpenToken, { id }: KeyPlace): void {
  for (const objectClass of classesInOrder) destroy(token, find(token, objectClass, id));
}

/** Destroys all keys and certificates of the scope, but those with the id that is kept. */
export function destroyInScope(token: OpenToken, scope: TokenScope, keptId?: Uint8Array): void {
  const { cryptoki, session } = token;
  for (const objectClass of classesInOrder) {
    const objects = cryptoki.findObjects(session, [
      [CKA.CLASS, objectClass],
      [CKA.LABEL, Buffer.from(scope.label)],
    ]);
    const isKept = (object: Handle) =>
      keptId !== undefined &&
      Buffer.from(cryptoki.readAttribute(session, object, CKA.ID)).equals(keptId);
    destroy(
      token,
      objects.filter((object) => !isKept(object)),
    );
  }
}

function destroy({ cryptoki, session }: OpenToken, objects: readonly Handle[]): void {
  for (const object of objects) {
    try {
      cryptoki.destroyObject(session, object);
    } catch (error) {
      // Some tokens remove the public key together with the private one; another process may have been faster.
      if (!(error instanceof CryptokiError) || error.returnValue !== CKR.OBJECT_HANDLE_INVALID) {
        throw error;
      }
    }
  }
}
