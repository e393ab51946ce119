import { createHash } from 'node:crypto';
import {
  certifyKey,
  identifyTpm,
  type KeyCertification,
  type KeyStore,
  type TpmIdentity,
  TpmKeyStores,
} from '@countersign/native-host';
import type { AttestationAnswer, AttestationRequest } from '@countersign/protocol/attestation';
import { expectOk } from '@countersign/testkit/fake-authorities';
import {
  assembleCertificationRequest,
  buildCertificationRequestInfo,
  parseSubjectPublicKeyInfo,
} from '@countersign/x509';
import type { SoftwareTpm } from './software-tpm.ts';

/** Both steps of an attestation by hand, so that a test can put together what does not belong together. */

export const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
export const bytes = (value: string) => Buffer.from(value, 'base64url');

export type SerialNumber = { readonly serial_number: string };

export const settingsOf = ({ port }: SoftwareTpm) => ({ device: '/dev/null', simulatorPort: port });

export async function identityOf(tpm: SoftwareTpm): Promise<TpmIdentity> {
  const identity = await identifyTpm(settingsOf(tpm));
  if (!identity.ok) throw new Error(identity.detail);
  return identity.value;
}

export const attestationRequestOf = (
  identity: TpmIdentity,
  integrationId: string,
  hardwareId: SerialNumber,
): AttestationRequest => ({
  integration_id: integrationId,
  hardware_id: hardwareId,
  endorsement_certificate: text(identity.endorsementCertificate),
  endorsement_public: text(identity.endorsementPublic),
  attestation_public: text(identity.attestationKey.publicArea),
});

export const credentialOf = ({ credential_blob, encrypted_secret }: AttestationAnswer) => ({
  blob: bytes(credential_blob),
  encryptedSecret: bytes(encrypted_secret),
});

/** A certificate signing request of the store's key, which is made where there is none; DER. */
export async function requestOf(keyStore: KeyStore): Promise<Uint8Array> {
  const spki = await keyStore.ensureKey();
  if (!spki.ok) throw new Error(spki.detail);
  const key = expectOk(parseSubjectPublicKeyInfo(spki.value));
  const info = expectOk(buildCertificationRequestInfo(key, 'A device'));
  const signature = await keyStore.sign(info);
  if (!signature.ok) throw new Error(signature.detail);
  return expectOk(assembleCertificationRequest(info, signature.value, key));
}

/**
 * The second step: has the TPM certify its key for a request, its own where none is given.
 *
 * @param folder for the key, one for each TPM
 */
export async function certifyIn(
  tpm: SoftwareTpm,
  folder: string,
  identity: TpmIdentity,
  begun: AttestationAnswer,
  otherCsr?: Uint8Array,
) {
  const keyStore = new TpmKeyStores(settingsOf(tpm), folder).open();
  const own = await requestOf(keyStore);
  const csr = otherCsr ?? own;
  const qualifyingData = createHash('sha256').update(csr).digest();
  const credential = credentialOf(begun);
  const made = await certifyKey(settingsOf(tpm), keyStore, identity, credential, qualifyingData);
  return made.ok ? ({ ok: true, ...bodyOf(begun, made.value, csr) } as const) : made;
}

function bodyOf(begun: AttestationAnswer, made: KeyCertification, csr: Uint8Array) {
  const authority = {
    type: 'hardware_attested',
    attestation: begun.attestation,
    secret: text(made.secret),
    key_public: text(made.keyPublic),
    certify_info: text(made.certifyInfo),
    certify_signature: text(made.signature),
  } as const;
  return { authority, csr: text(csr) };
}
