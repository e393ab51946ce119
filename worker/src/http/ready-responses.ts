import { NewestEntries } from '../challenge/newest-entries.ts';
import type { ReadyAnswer, ReadyAnswers } from '../revocation/ready-answers.ts';
import { isDue } from '../revocation/ready-answers.ts';

type Kept = {
  readonly answer: ReadyAnswer;
  readonly headers: Headers;
  /** `ReadyAnswers.changes` when the answer was found. */
  readonly changes: number;
};

const maxResponses = 4096;
/** An address, or a body, with a question about one certificate has 150 characters; longer ones go the long way. */
const maxKeyCharacters = 512;
const maxBodyBytes = 256;

/** Where a body was asked for: no address has a line break. */
const postedKey = (url: string, body: Uint8Array) => `${url}\n${String.fromCharCode(...body)}`;

/** Whether the body may be one of a question that was answered before, and is worth reading here. */
export function isShortQuestion(request: Request): boolean {
  return (
    request.method === 'POST' &&
    request.url.endsWith('/ocsp') &&
    request.headers.get('Content-Type') === 'application/ocsp-request' &&
    Number(request.headers.get('Content-Length') ?? Number.NaN) <= maxBodyBytes
  );
}

/**
 * Ready OCSP answers by what they were asked with, octet for octet: the address, and the body of a POST. Most of what an
 * answer costs otherwise is finding the route, reading the question and writing headers, which come out the same each
 * time.
 */
export class ReadyResponses {
  readonly #kept = new NewestEntries<Kept>(maxResponses);
  readonly #answers: ReadyAnswers;

  constructor(answers: ReadyAnswers) {
    this.#answers = answers;
  }

  /** `undefined`: go the long way, which also renews what is due. */
  find(request: Request, nowMs: number): Response | undefined {
    if (request.method !== 'GET' || request.headers.has('If-None-Match')) return undefined;
    return this.#find(request.url, nowMs);
  }

  /** The same for a request of which `isShortQuestion` is true. */
  findPosted(url: string, body: Uint8Array, nowMs: number): Response | undefined {
    return this.#find(postedKey(url, body), nowMs);
  }

  #find(key: string, nowMs: number): Response | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined || kept.changes !== this.#answers.changes) return undefined;
    const { answer, headers } = kept;
    if (nowMs < answer.producedAtMs || isDue(answer, nowMs)) return undefined;
    return new Response(answer.response, { headers });
  }

  /**
   * @param headers all of them: they are sent as they are. No id of a request, because caches send them to others
   * @param changes read before the answer was looked for
   */
  keep(url: string, answer: ReadyAnswer, headers: Headers, changes: number): void {
    if (url.length <= maxKeyCharacters) this.#kept.set(url, { answer, headers, changes });
  }

  keepPosted(
    url: string,
    body: Uint8Array,
    answer: ReadyAnswer,
    headers: Headers,
    changes: number,
  ): void {
    if (body.length <= maxBodyBytes) this.keep(postedKey(url, body), answer, headers, changes);
  }
}
