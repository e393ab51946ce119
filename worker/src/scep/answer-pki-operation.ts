import { decodeBase64url, type ProblemCode } from '@countersign/protocol';
import { enrollDevice } from '../enrollment/enroll-device.ts';
import { renewDevice } from '../enrollment/renew-device.ts';
import { authorizeRequest, transactionOf } from './authorize-request.ts';
import { buildFailure, buildSuccess, type FailInfo, failInfo } from './cert-rep.ts';
import { type MessageIdentity, type PkiMessage, parsePkiMessage } from './pki-message.ts';
import { readScepRequest, type ScepRequest } from './read-request.ts';
import type { ScepContext, ScepRefusal } from './scep-context.ts';
import { examineSigner, placeOfSigner } from './signer-certificate.ts';

/** RFC 8894 section 3.2.1.2. Every other type is refused: what is not served here is not parsed any further. */
const messageType = { renewalReq: '17', pkcsReq: '19' } as const;

/** What the log says of a message. */
export type ScepOutcome = {
  readonly transactionId: string;
  readonly deviceId?: string;
  readonly isRenewal: boolean;
  /** `undefined`: a certificate went out. */
  readonly refusal?: ScepRefusal;
};

export type PkiOperationAnswer =
  /** A CertRep, which may be a failure. */
  | { readonly ok: true; readonly body: Uint8Array<ArrayBuffer>; readonly outcome: ScepOutcome }
  | { readonly ok: false; readonly code: 'scep_message_malformed'; readonly detail: string };

type Issued =
  | { readonly ok: true; readonly certificate: Uint8Array; readonly deviceId: string }
  | (ScepRefusal & {
      /** Known once the request is permitted: only then is the client told what is in the way. */
      readonly deviceId?: string;
    });

const failInfoOf: Partial<Record<ProblemCode, FailInfo>> = {
  scep_algorithm_not_allowed: failInfo.badAlg,
  scep_signature_invalid: failInfo.badMessageCheck,
};

/**
 * Answers a PKIOperation (RFC 8894 section 4.3): signature, message type, envelope, request, challenge, and then every
 * check of an enrollment or a renewal. Whatever is wrong before the request is permitted is one and the same failure.
 *
 * @param textOf what a client is told whose request was permitted, by code
 */
export async function answerPkiOperation(
  context: ScepContext,
  bytes: Uint8Array,
  textOf: (code: ProblemCode) => string,
): Promise<PkiOperationAnswer> {
  const parsed = await parsePkiMessage(bytes);
  if (!parsed.ok && parsed.code === 'scep_message_malformed') return parsed;
  const identity: MessageIdentity = parsed.ok ? parsed.message : parsed.identity;
  const { transactionId } = identity;
  const isRenewal = parsed.ok && parsed.message.messageType === messageType.renewalReq;
  const rep = { authority: context.authority, certificate: context.authorityCertificate };
  const refuse = async (refusal: ScepRefusal, deviceId?: string): Promise<PkiOperationAnswer> => {
    const info = failInfoOf[refusal.code] ?? failInfo.badRequest;
    const text = deviceId === undefined ? undefined : textOf(refusal.code);
    const known = deviceId === undefined ? {} : { deviceId };
    const body = await buildFailure(rep, identity, info, text);
    return { ok: true, body, outcome: { transactionId, isRenewal, refusal, ...known } };
  };
  if (!parsed.ok) return await refuse({ ok: false, code: parsed.code, detail: parsed.detail });
  const { message } = parsed;
  const serve = serviceOf(message);
  if (serve === undefined) {
    const detail = `message type ${message.messageType}`;
    return await refuse({ ok: false, code: 'scep_message_type_not_allowed', detail });
  }
  if (message.signer.subjectPublicKey.kind !== 'rsa') {
    const detail = 'the answer can be encrypted to RSA keys alone';
    return await refuse({ ok: false, code: 'scep_algorithm_not_allowed', detail });
  }
  const read = await readScepRequest(context.authority, message);
  if (!read.ok) return await refuse(read);
  const issued = await serve(context, message, read.request);
  if (!issued.ok) return await refuse(issued, issued.deviceId);
  const body = await buildSuccess(rep, {
    ...identity,
    signer: message.signer,
    contentEncryption: read.request.contentEncryption,
    issued: issued.certificate,
  });
  return { ok: true, body, outcome: { transactionId, isRenewal, deviceId: issued.deviceId } };
}

type Service = (context: ScepContext, message: PkiMessage, request: ScepRequest) => Promise<Issued>;

function serviceOf(message: PkiMessage): Service | undefined {
  switch (message.messageType) {
    case messageType.pkcsReq:
      return enroll;
    case messageType.renewalReq:
      return renew;
    default:
      return undefined;
  }
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

/**
 * PKCSReq: permitted by its challenge, and signed by the very key that is to be certified; or, as some clients renew, by
 * that of a certificate in good standing of the same device.
 */
async function enroll(
  context: ScepContext,
  message: PkiMessage,
  request: ScepRequest,
): Promise<Issued> {
  const isOwnSigner = sameBytes(message.signer.subjectPublicKey.spki, request.spki);
  const signer = isOwnSigner ? undefined : await placeOfSigner(context, message.signer);
  if (signer?.ok === false) return signer;
  const transaction = await transactionOf(message, request);
  const taken = await context.take(transaction);
  if (!taken.ok) return taken;
  const authorized = await authorizeRequest(context, message, request, taken);
  if (!authorized.ok) return authorized;
  const { device, permit } = authorized;
  const { deviceId } = device;
  if (signer !== undefined) {
    const examined = await examineSigner(context, signer);
    if (!examined.ok) return examined;
    if (signer.deviceId !== deviceId) {
      const detail = 'signed under the certificate of another device';
      return { ok: false, code: 'scep_signer_mismatch', detail };
    }
  }
  const asked = { transactionId: message.transactionId, csr: request.csr };
  const issue = async (): Promise<Issued> => {
    const enrolled = await enrollDevice(context.enrollment, {
      device,
      key: request,
      permit,
      via: 'scep',
    });
    if (!enrolled.ok) return { ...enrolled, deviceId };
    return await keepAndAnswer(context, transaction, enrolled.answer.certificate, deviceId);
  };
  const issued: Issued =
    taken.certificate === undefined
      ? await issue()
      : { ok: true, certificate: taken.certificate, deviceId };
  const { intune } = context;
  if (!issued.ok) {
    intune?.reportFailure(asked, issued);
    return issued;
  }
  const confirmed = await intune?.confirm(asked, issued.certificate);
  return confirmed?.ok === false ? { ...confirmed, deviceId } : issued;
}

/** RenewalReq: signed by the key of a certificate of ours that is on record and in good standing. */
async function renew(
  context: ScepContext,
  message: PkiMessage,
  request: ScepRequest,
): Promise<Issued> {
  const { signer } = message;
  const place = await placeOfSigner(context, signer);
  if (!place.ok) return place;
  const transaction = {
    ...(await transactionOf(message, request)),
    challengeSha256: undefined,
  };
  const taken = await context.take(transaction);
  if (!taken.ok) return taken;
  const { deviceId, shard, certificateSha256 } = place;
  let isOnRecord = false;
  const renewed = await renewDevice(
    {
      ...context.enrollment,
      examineRenewal: async () => {
        const examined = await examineSigner(context, place);
        isOnRecord = examined.ok;
        return examined;
      },
    },
    {
      deviceId,
      shard,
      certificateSha256,
      rekey: sameBytes(signer.subjectPublicKey.spki, request.spki)
        ? undefined
        : { subjectPublicKeyInfo: request.spki, spkiSha256: request.spkiSha256 },
      via: 'scep',
    },
  );
  if (!renewed.ok) return isOnRecord ? { ...renewed, deviceId } : renewed;
  return await keepAndAnswer(context, transaction, renewed.answer.certificate, deviceId);
}

async function keepAndAnswer(
  context: ScepContext,
  transaction: Parameters<ScepContext['keep']>[0],
  encoded: string,
  deviceId: string,
): Promise<Issued> {
  const certificate = decodeBase64url(encoded);
  if (certificate === undefined) return { ok: false, code: 'internal_error' };
  const kept = await context.keep(transaction, certificate);
  // Not kept, it comes again all the same: the key is on record with it.
  if (!kept.ok && kept.code === 'scep_challenge_spent') return kept;
  return { ok: true, certificate, deviceId };
}
