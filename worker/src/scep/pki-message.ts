import {
  parseSignedData,
  readOctetsValue,
  readPrintableValue,
  type UnverifiedSigner,
  verifySignedData,
} from '@countersign/x509/cms';

/** Attributes of messages (RFC 8894 section 3.2.1). */
export const scepOid = {
  messageType: '2.16.840.1.113733.1.9.2',
  pkiStatus: '2.16.840.1.113733.1.9.3',
  failInfo: '2.16.840.1.113733.1.9.4',
  senderNonce: '2.16.840.1.113733.1.9.5',
  recipientNonce: '2.16.840.1.113733.1.9.6',
  transactionId: '2.16.840.1.113733.1.9.7',
  failInfoText: '1.3.6.1.5.5.7.24.1',
} as const;

/** More than any request with an allowed key needs, certificates and envelope included. */
export const maxPkiMessageBytes = 32 * 1024;

const maxTransactionIdCharacters = 256;
const nonceBytes = 16;

/** What an answer has to repeat (RFC 8894 section 3.2.1). */
export type MessageIdentity = {
  /** Letters of a PrintableString, as the client chose them. */
  readonly transactionId: string;
  readonly senderNonce: Uint8Array;
};

/** A message whose signature is of the key in `signer`: whose key that is, nothing has said yet. */
export type PkiMessage = MessageIdentity & {
  /** Decimal, as sent: which ones are served is for the caller to say. */
  readonly messageType: string;
  readonly signer: UnverifiedSigner;
  /** EnvelopedData, not opened. */
  readonly envelope: Uint8Array;
};

export type PkiMessageResult =
  | { readonly ok: true; readonly message: PkiMessage }
  /** Not even the names of it can be read: there is nobody to answer to in SCEP. */
  | { readonly ok: false; readonly code: 'scep_message_malformed'; readonly detail: string }
  | {
      readonly ok: false;
      readonly code: 'scep_algorithm_not_allowed' | 'scep_signature_invalid';
      readonly detail: string;
      readonly identity: MessageIdentity;
    };

const algorithmReasons: ReadonlySet<string> = new Set([
  'signature_algorithm_not_allowed',
  'signature_algorithm_mismatch',
  'key_algorithm_not_allowed',
  'curve_not_allowed',
  'rsa_key_too_small',
  'rsa_key_too_large',
  'rsa_exponent_not_allowed',
]);

/** Reads a pkiMessage (RFC 8894 section 3.2) and verifies its signature. */
export async function parsePkiMessage(bytes: Uint8Array): Promise<PkiMessageResult> {
  const malformed = (detail: string) =>
    ({ ok: false, code: 'scep_message_malformed', detail }) as const;
  const signed = parseSignedData(bytes, maxPkiMessageBytes);
  if (!signed.ok) return malformed(signed.detail);
  const { attributes, content } = signed.value;
  const text = (id: string) => {
    const value = attributes.get(id);
    const read = value === undefined ? undefined : readPrintableValue(value);
    return read?.ok === true && read.value !== '' ? read.value : undefined;
  };
  const messageType = text(scepOid.messageType);
  const transactionId = text(scepOid.transactionId);
  const nonce = attributes.get(scepOid.senderNonce);
  const senderNonce = nonce === undefined ? undefined : readOctetsValue(nonce);
  if (messageType === undefined) return malformed('messageType: missing');
  if (transactionId === undefined || transactionId.length > maxTransactionIdCharacters) {
    return malformed('transactionID: missing, or too long');
  }
  if (senderNonce?.ok !== true || senderNonce.value.length !== nonceBytes) {
    return malformed('senderNonce: not 16 octets');
  }
  const identity = { transactionId, senderNonce: senderNonce.value };
  const verified = await verifySignedData(signed.value);
  if (!verified.ok) {
    const isAlgorithm = algorithmReasons.has(verified.reason);
    const code = isAlgorithm ? 'scep_algorithm_not_allowed' : 'scep_signature_invalid';
    return { ok: false, code, detail: verified.detail, identity };
  }
  return {
    ok: true,
    message: {
      ...identity,
      messageType,
      signer: verified.value,
      envelope: content ?? new Uint8Array(0),
    },
  };
}
