import {
  encodeOcspError,
  namesIssuer,
  type OcspErrorStatus,
  type OcspIssuerHashes,
  parseOcspRequest,
} from '@countersign/x509';
import type { SignedStatus } from './ocsp-responder.ts';
import type { CrlPlace } from './publication.ts';
import { isDue, type ReadyAnswer, type ReadyAnswers } from './ready-answers.ts';
import type { OcspAnswerResult } from './revocation-object.ts';
import { placeOfSerialNumber } from './revocation-place.ts';

export type StatusContext = {
  readonly issuers: readonly { readonly issuerId: string; readonly hashes: OcspIssuerHashes }[];
  readonly ready: ReadyAnswers;
  /** Has an object answer the request; `tryLater` when it cannot. */
  readonly ask: (place: CrlPlace, requestDer: Uint8Array) => Promise<OcspAnswerResult>;
  readonly waitUntil: (work: Promise<unknown>) => void;
};

export type StatusAnswer =
  /** `answer` is for everybody and may be kept. */
  | { readonly kind: 'ready'; readonly answer: ReadyAnswer }
  /** For this request alone. */
  | { readonly kind: 'live'; readonly response: Uint8Array }
  | { readonly kind: 'error'; readonly response: Uint8Array; readonly status: OcspErrorStatus };

/**
 * Answers an OCSP request (RFC 6960). One question without a nonce is answered with what is ready, which is renewed
 * ahead of time; everything else is signed in this moment.
 */
export async function answerStatus(
  requestDer: Uint8Array,
  context: StatusContext,
  nowMs: number,
): Promise<StatusAnswer> {
  const request = parseOcspRequest(requestDer);
  if (!request.ok) {
    // RFC 5019 section 2.2.3: a certificate that is named in a way that says nothing here.
    const isForeign = request.reason === 'hash_algorithm_not_allowed';
    return errorAnswer(isForeign ? 'unauthorized' : 'malformedRequest');
  }
  const { certificateIds, nonce } = request.value;
  const [first, more] = certificateIds;
  const issuer = context.issuers.find(({ hashes }) =>
    certificateIds.every((id) => namesIssuer(id, hashes)),
  );
  if (first === undefined || issuer === undefined) return errorAnswer('unauthorized');
  const place = placeOfSerialNumber(issuer.issuerId, first.serialNumber);
  if (nonce !== undefined || more !== undefined) {
    const live = await context.ask(place, requestDer);
    return live.ok ? { kind: 'live', response: live.response } : errorAnswer(live.status);
  }

  const { ready } = context;
  const makeReady = async () => {
    const { changes } = ready;
    const asked = await context.ask(place, requestDer);
    if (!asked.ok) return asked;
    const answer = { ...asked, etag: await etagOf(asked) };
    ready.keep(first, answer, changes);
    return { ok: true, answer } as const;
  };
  const known = ready.find(first, nowMs);
  if (known !== undefined) {
    if (isDue(known, nowMs)) context.waitUntil(ready.renew(first, makeReady));
    return { kind: 'ready', answer: known };
  }
  const made = await makeReady();
  return made.ok ? { kind: 'ready', answer: made.answer } : errorAnswer(made.status);
}

function errorAnswer(status: OcspErrorStatus): StatusAnswer {
  return { kind: 'error', response: encodeOcspError(status), status };
}

async function etagOf({ response }: SignedStatus): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(response));
  return `"${Array.from(new Uint8Array(digest), (octet) => octet.toString(16).padStart(2, '0')).join('')}"`;
}
