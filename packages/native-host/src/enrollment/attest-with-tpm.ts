import { createHash } from 'node:crypto';
import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { type AttestationRequest, attestationAnswer } from '@countersign/protocol/attestation';
import type { EnrollmentAuthority, HardwareId } from '@countersign/protocol/enrollment';
import { parseFields } from '@countersign/protocol/schemas';
import { callBroker } from '../http/call-broker.ts';
import { describeRefusal } from '../http/describe-refusal.ts';
import { certifyKey, identifyTpm, type ReceivedCredential } from '../keystore/tpm/tpm-attester.ts';
import { TpmKeyStores } from '../keystore/tpm/tpm-keystores.ts';
import type { TpmSettings } from '../keystore/tpm/tpm-settings.ts';
import { fail, type Result, succeed } from '../result.ts';
import type { EnrollReason } from './enroll.ts';
import { describeKeyFailure, type SigningRequest } from './make-signing-request.ts';

export type AttestInput = {
  readonly settings: TpmSettings;
  /** The integration that takes the attestation. */
  readonly integrationId: string;
  /** As `parseBrokerUrl` gives it. */
  readonly brokerUrl: string;
  readonly hardwareId: HardwareId;
  /** Absolute path. */
  readonly stateDirectory: string;
  readonly timeoutMs?: number;
};

const defaultTimeoutMs = 15_000;

/**
 * Has the TPM permit the request. The broker gets its endorsement certificate and a new attestation key, and answers with
 * a credential that only the TPM with both opens; then the attestation key certifies the key of the request, for this
 * request. The TPM is not held on to while the broker is asked.
 *
 * @param proof of the request by the organization secret, where the integration asks for one
 */
export async function attestWithTpm(
  input: AttestInput,
  { csr, keyId }: SigningRequest,
  proof: string | undefined,
): Promise<Result<EnrollmentAuthority, EnrollReason>> {
  const { settings } = input;
  const identity = await identifyTpm(settings);
  if (!identity.ok) return describeKeyFailure(identity);
  const { endorsementCertificate, endorsementPublic, attestationKey } = identity.value;
  const begun = await begin(input, {
    integration_id: input.integrationId,
    hardware_id: input.hardwareId,
    endorsement_certificate: encodeBase64url(endorsementCertificate),
    endorsement_public: encodeBase64url(endorsementPublic),
    attestation_public: encodeBase64url(attestationKey.publicArea),
  });
  if (!begun.ok) return begun;
  const keyStore = new TpmKeyStores(settings, input.stateDirectory).open(keyId);
  const qualifyingData = createHash('sha256').update(csr).digest();
  const { credential, attestation } = begun.value;
  const made = await certifyKey(settings, keyStore, identity.value, credential, qualifyingData);
  if (!made.ok) return describeKeyFailure(made);
  const { secret, keyPublic, certifyInfo, signature } = made.value;
  return succeed({
    type: 'hardware_attested',
    attestation,
    secret: encodeBase64url(secret),
    key_public: encodeBase64url(keyPublic),
    certify_info: encodeBase64url(certifyInfo),
    certify_signature: encodeBase64url(signature),
    ...(proof === undefined ? {} : { proof }),
  });
}

type Begun = { readonly attestation: string; readonly credential: ReceivedCredential };

async function begin(
  { brokerUrl, timeoutMs = defaultTimeoutMs }: AttestInput,
  body: AttestationRequest,
): Promise<Result<Begun, EnrollReason>> {
  const path = '/v1/attestations';
  const answer = await callBroker({ brokerUrl, method: 'POST', path, body, timeoutMs });
  if (!answer.ok) return answer.reason === 'broker_refused' ? describeRefusal(answer) : answer;
  const parsed = parseFields(attestationAnswer, answer.value);
  if (!parsed.ok) {
    const detail = `the broker's answer: ${parsed.field} ${parsed.detail}`;
    return fail('broker_answer_malformed', detail);
  }
  const { attestation, credential_blob, encrypted_secret } = parsed.value;
  const [blob, encryptedSecret] = [credential_blob, encrypted_secret].map(decodeBase64url);
  return blob === undefined || encryptedSecret === undefined
    ? fail('broker_answer_malformed', "the broker's answer: not base64url")
    : succeed({ attestation, credential: { blob, encryptedSecret } });
}
