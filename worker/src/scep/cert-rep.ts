import {
  type ContentEncryption,
  encodeCertificatesOnly,
  octetsValue,
  printableValue,
  type UnverifiedSigner,
  utf8Value,
} from '@countersign/x509/cms';
import { type MessageIdentity, scepOid } from './pki-message.ts';
import { type RegistrationAuthority, sealFor } from './registration-authority.ts';

/** RFC 8894 section 3.2.1.4. */
export const failInfo = {
  badAlg: '0',
  badMessageCheck: '1',
  badRequest: '2',
} as const;
export type FailInfo = (typeof failInfo)[keyof typeof failInfo];

const certRep = '3';
const pkiStatus = { success: '0', failure: '2' } as const;

export type CertRepContext = {
  readonly authority: RegistrationAuthority;
  /** The authority's certificate that goes with the answer. */
  readonly certificate: Uint8Array;
};

function identityAttributes({ transactionId, senderNonce }: MessageIdentity) {
  const ownNonce = crypto.getRandomValues(new Uint8Array(16));
  return [
    { type: scepOid.messageType, value: printableValue(certRep) },
    { type: scepOid.transactionId, value: printableValue(transactionId) },
    { type: scepOid.recipientNonce, value: octetsValue(senderNonce) },
    { type: scepOid.senderNonce, value: octetsValue(ownNonce) },
  ];
}

/** CertRep with the certificate, for the key that signed the request alone (RFC 8894 section 3.3.2.1). */
export async function buildSuccess(
  { authority, certificate }: CertRepContext,
  answered: MessageIdentity & {
    readonly signer: UnverifiedSigner;
    readonly contentEncryption: ContentEncryption;
    /** DER. */
    readonly issued: Uint8Array;
  },
): Promise<Uint8Array<ArrayBuffer>> {
  const { signer, contentEncryption, issued } = answered;
  const envelope = sealFor(signer, encodeCertificatesOnly([issued]), contentEncryption);
  if (!envelope.ok) throw new Error(`an answer to a key that was read: ${envelope.detail}`);
  const attributes = [
    ...identityAttributes(answered),
    { type: scepOid.pkiStatus, value: printableValue(pkiStatus.success) },
  ];
  return unwrap(await authority.sign(envelope.value, attributes, certificate));
}

/** CertRep without content (RFC 8894 section 3.3.2.2). `text` says to whom was permitted what is in the way. */
export async function buildFailure(
  { authority, certificate }: CertRepContext,
  identity: MessageIdentity,
  info: FailInfo,
  text?: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const attributes = [
    ...identityAttributes(identity),
    { type: scepOid.pkiStatus, value: printableValue(pkiStatus.failure) },
    { type: scepOid.failInfo, value: printableValue(info) },
    ...(text === undefined ? [] : [{ type: scepOid.failInfoText, value: utf8Value(text) }]),
  ];
  return unwrap(await authority.sign(undefined, attributes, certificate));
}

function unwrap(
  built: Awaited<ReturnType<RegistrationAuthority['sign']>>,
): Uint8Array<ArrayBuffer> {
  if (!built.ok) throw new Error(`an answer of our own: ${built.detail}`);
  return built.value;
}
