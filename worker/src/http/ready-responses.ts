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
/** An address with a request for one certificate has 150 characters; longer ones go the long way. */
const maxUrlCharacters = 512;

/**
 * Ready OCSP answers by the whole address that they were asked for at. Most of what an answer costs otherwise is finding
 * the route, reading the question and writing headers, which come out the same each time.
 */
export class ReadyResponses {
  readonly #kept = new NewestEntries<Kept>(maxResponses);
  readonly #answers: ReadyAnswers;

  constructor(answers: ReadyAnswers) {
    this.#answers = answers;
  }

  /** `undefined`: go the long way, which also renews what is due. */
  find(request: Request, nowMs: number): Response | undefined {
    if (request.method !== 'GET') return undefined;
    const kept = this.#kept.get(request.url);
    if (kept === undefined || kept.changes !== this.#answers.changes) return undefined;
    const { answer, headers } = kept;
    if (nowMs < answer.producedAtMs || isDue(answer, nowMs)) return undefined;
    if (request.headers.has('If-None-Match')) return undefined;
    return new Response(answer.response, { headers });
  }

  /**
   * @param headers all of them: they are sent as they are. No id of a request, because caches send them to others
   * @param changes read before the answer was looked for
   */
  keep(url: string, answer: ReadyAnswer, headers: Headers, changes: number): void {
    if (url.length <= maxUrlCharacters) this.#kept.set(url, { answer, headers, changes });
  }
}
