import { setTimeout as sleep } from 'node:timers/promises';
import { answersHealthz } from './worker-health.ts';

export type LivenessTiming = {
  /** From the beginning of one question to the next, or to the end of the first if that takes longer. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
};

const defaultTiming: LivenessTiming = { intervalMs: 5_000, timeoutMs: 5_000 };

/** One can be missed by a machine that was asleep or overloaded for a moment. */
const unansweredQuestions = 3;

/**
 * Asks workerd again and again whether it still answers. Any complete answer will do: a broker that refuses to serve
 * would do so after another start too.
 *
 * @param onHung called once, after three questions in a row without an answer
 * @returns ends it; `onHung` is not called after that
 */
export function watchLiveness(
  socket: string,
  onHung: () => void,
  { intervalMs, timeoutMs }: LivenessTiming = defaultTiming,
): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  const watch = async () => {
    let unanswered = 0;
    let pauseMs = intervalMs;
    while (unanswered < unansweredQuestions) {
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      const askedAt = performance.now();
      const answered = await answersHealthz(socket, timeoutMs, signal);
      if (signal.aborted) return;
      unanswered = answered ? 0 : unanswered + 1;
      pauseMs = Math.max(0, intervalMs - (performance.now() - askedAt));
    }
    onHung();
  };
  void watch();
  return () => ending.abort();
}
