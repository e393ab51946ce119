import {
  constants,
  createCipheriv,
  createPrivateKey,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { decodePem, encodePem, type X509Result } from '@countersign/x509';
import {
  type AttributeValue,
  assembleSignedData,
  type ContentEncryption,
  type EnvelopedData,
  encodeEnvelopedData,
  encodeSignedAttributes,
  type UnverifiedSigner,
} from '@countersign/x509/cms';
import { openEnvelope } from './open-envelope.ts';

/** What the settings say of it. */
export type RegistrationAuthoritySettings = {
  /** PKCS#8 PEM, RSA. */
  readonly keyPem: string;
  /** DER, one for each issuer, all of this key. */
  readonly certificates: readonly Uint8Array[];
};

/** SCEP's own key (RFC 8894 section 2.1.2): opens requests and signs answers, and certifies nothing. */
export type RegistrationAuthority = {
  readonly certificates: readonly Uint8Array[];
  readonly open: (envelope: EnvelopedData) => Promise<Uint8Array<ArrayBuffer>>;
  /** SignedData with these attributes, in DER. */
  readonly sign: (
    content: Uint8Array<ArrayBuffer> | undefined,
    attributes: readonly AttributeValue[],
    certificate: Uint8Array,
  ) => Promise<X509Result<Uint8Array<ArrayBuffer>>>;
};

const rsaSha256 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };

/** Imports the key; it is checked where settings are read. */
export async function openRegistrationAuthority({
  keyPem,
  certificates,
}: RegistrationAuthoritySettings): Promise<RegistrationAuthority> {
  const der = decodePem(keyPem, 'PRIVATE KEY');
  if (!der.ok) throw new Error(`the key of SCEP: ${der.detail}`);
  const signingKey = await crypto.subtle.importKey('pkcs8', der.value, rsaSha256, false, ['sign']);
  const rejectionSecret = await crypto.subtle.digest(
    'SHA-256',
    new TextEncoder().encode(`scep-rejection-v1\0${keyPem}`),
  );
  const rejectionKey = await crypto.subtle.importKey(
    'raw',
    rejectionSecret,
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['sign'],
  );
  const privateKey = createPrivateKey(keyPem);
  return {
    certificates,
    open: async (envelope) => await openEnvelope({ privateKey, rejectionKey }, envelope),
    sign: async (content, attributes, certificate) => {
      const signedAttributes = await encodeSignedAttributes(content, attributes);
      const signature = await crypto.subtle.sign(rsaSha256.name, signingKey, signedAttributes);
      return assembleSignedData({
        content,
        signedAttributes,
        signature: new Uint8Array(signature),
        signer: certificate,
      });
    },
  };
}

/** EnvelopedData that the holder of the signer's RSA key can open. */
export function sealFor(
  { der, subjectPublicKey }: UnverifiedSigner,
  content: Uint8Array,
  contentEncryption: ContentEncryption,
): X509Result<Uint8Array<ArrayBuffer>> {
  const contentKey = randomBytes(contentEncryption === 'aes-256-cbc' ? 32 : 16);
  const initializationVector = new Uint8Array(randomBytes(16));
  const cipher = createCipheriv(contentEncryption, contentKey, initializationVector);
  const parts = [cipher.update(content), cipher.final()];
  const encryptedKey = publicEncrypt(
    { key: encodePem('PUBLIC KEY', subjectPublicKey.spki), padding: constants.RSA_PKCS1_PADDING },
    contentKey,
  );
  return encodeEnvelopedData(
    {
      encryptedKey: new Uint8Array(encryptedKey),
      contentEncryption,
      initializationVector,
      encryptedContent: Uint8Array.from(parts.flatMap((part) => [...part])),
    },
    der,
  );
}
