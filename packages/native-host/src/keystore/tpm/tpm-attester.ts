import { createPublicKey, X509Certificate } from 'node:crypto';
import type { Result } from '../../result.ts';
import type { KeyStoreReason } from '../keystore.ts';
import { hierarchy, type KeyBlob, type LoadedKey, type Tpm } from './tpm.ts';
import { TpmBytesReader } from './tpm-bytes.ts';
import { TpmError } from './tpm-error.ts';
import { loadUnderStorageKey, type TpmKeyStore } from './tpm-keystore.ts';
import type { TpmSettings } from './tpm-settings.ts';
import {
  algorithm,
  attestationKey,
  type EndorsementTemplate,
  endorsementTemplates,
  storageKey,
} from './tpm-templates.ts';
import { useTpm } from './use-tpm.ts';

/** What a TPM shows of itself before it is believed. */
export type TpmIdentity = {
  /** DER, as the TPM's maker put it into the TPM. */
  readonly endorsementCertificate: Buffer;
  /** TPMT_PUBLIC. */
  readonly endorsementPublic: Buffer;
  /** Made for this one attestation; its private part is used once more, in the second step. */
  readonly attestationKey: KeyBlob;
  readonly template: EndorsementTemplate;
};

/** What a broker makes for a TPM's two keys; both with their sizes. */
export type ReceivedCredential = {
  /** TPM2B_ID_OBJECT. */
  readonly blob: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly encryptedSecret: Uint8Array;
};

export type KeyCertification = {
  readonly secret: Buffer;
  /** TPMT_PUBLIC of the device key. */
  readonly keyPublic: Buffer;
  /** TPMS_ATTEST. */
  readonly certifyInfo: Buffer;
  /** TPMT_SIGNATURE. */
  readonly signature: Buffer;
};

/** First step: the certificate and the public area of the endorsement key, and a new attestation key. */
export function identifyTpm(settings: TpmSettings): Promise<Result<TpmIdentity, KeyStoreReason>> {
  return useTpm(settings, async (tpm) => {
    const storage = await tpm.createPrimary(hierarchy.owner, storageKey);
    const attestation = await tpm.create(storage, attestationKey);
    await tpm.flush(storage);
    return { ...(await findEndorsement(tpm)), attestationKey: attestation };
  });
}

/** Second step: the secret of the credential, and the device key, certified for `qualifyingData`. */
export async function certifyKey(
  settings: TpmSettings,
  keyStore: TpmKeyStore,
  { attestationKey: blob, template }: TpmIdentity,
  credential: ReceivedCredential,
  qualifyingData: Uint8Array,
): Promise<Result<KeyCertification, KeyStoreReason>> {
  const opened = await useTpm(settings, async (tpm) => {
    const attestation = await loadUnderStorageKey(tpm, blob, 'memory');
    const endorsement = await tpm.createPrimary(hierarchy.endorsement, template.publicArea);
    const { usesPolicy } = template;
    return await tpm.activateCredential(attestation, endorsement, usesPolicy, credential);
  });
  if (!opened.ok) return opened;
  return await keyStore.withKey(async (tpm, key) => {
    const attestation = await loadUnderStorageKey(tpm, blob, 'memory');
    const certified = await tpm.certify(key, attestation, qualifyingData);
    return { secret: opened.value, keyPublic: key.publicArea, ...certified };
  });
}

/** The first certificate in the TPM whose key the TPM makes anew. */
async function findEndorsement(tpm: Tpm) {
  let certificates = 0;
  for (const template of endorsementTemplates) {
    const stored = await tpm.readNv(template.certificateIndex);
    const certificate = stored === undefined ? undefined : withoutPadding(stored);
    if (certificate === undefined) continue;
    certificates += 1;
    const key = await tpm.createPrimary(hierarchy.endorsement, template.publicArea);
    await tpm.flush(key);
    if (!isKeyOf(certificate, key)) continue;
    return {
      endorsementCertificate: certificate,
      endorsementPublic: key.publicArea,
      template,
    };
  }
  const detail =
    certificates === 0
      ? 'the TPM holds no certificate of an endorsement key'
      : "no certificate in the TPM is for a key of its maker's usual templates";
  throw new TpmError('keystore_tpm_endorsement_missing', detail);
}

/** A certificate without what fills up the place that it is stored in; `undefined` where there is none. */
function withoutPadding(stored: Buffer): Buffer | undefined {
  const isLongSequence = stored.length > 4 && stored.readUInt16BE(0) === 0x3082;
  return isLongSequence ? stored.subarray(0, 4 + stored.readUInt16BE(2)) : undefined;
}

function isKeyOf(certificate: Buffer, { publicArea }: LoadedKey): boolean {
  try {
    const spki = { format: 'der', type: 'spki' } as const;
    const key = createPublicKey({ key: jwkOf(publicArea), format: 'jwk' });
    return new X509Certificate(certificate).publicKey.export(spki).equals(key.export(spki));
  } catch {
    return false;
  }
}

function jwkOf(publicArea: Buffer) {
  const reader = new TpmBytesReader(publicArea);
  const isRsa = reader.uint16() === algorithm.rsa;
  // nameAlg, objectAttributes, authPolicy, AES with bits and mode, no scheme
  reader.take(2 + 4);
  reader.sized();
  reader.take(6 + 2);
  if (isRsa) {
    // keyBits, exponent
    reader.take(2 + 4);
    return { kty: 'RSA', n: reader.sized().toString('base64url'), e: 'AQAB' };
  }
  const is256 = reader.uint16() === 0x0003;
  // kdf
  reader.take(2);
  const [x, y] = [reader.sized(), reader.sized()].map((value) =>
    Buffer.concat([Buffer.alloc((is256 ? 32 : 48) - value.length), value]).toString('base64url'),
  );
  return { kty: 'EC', crv: is256 ? 'P-256' : 'P-384', x: x ?? '', y: y ?? '' };
}
