import { problemCodes } from '@countersign/protocol';
import { AttestError } from './attest-error.ts';

/** Base64url parts with dots between them, as every compact JWS and JWE is (RFC 7515, RFC 7516). */
export const compactText = /^[\w.-]+$/;

export type ChallengeAnswer = {
  readonly challenge: string;
  /** Where the browser may present its device certificate, as the broker says it. */
  readonly mtlsUrl: string | undefined;
};

/**
 * `POST /v1/challenges`. Rejects with `AttestError`, or with the reason of `signal`.
 *
 * The JSON travels as `text/plain`: together with POST that is a "simple" request (Fetch, CORS-safelisted), so the
 * browser sends it at once instead of asking with a preflight first.
 */
export async function requestChallenge(
  brokerUrl: string,
  body: { readonly client_id: string; readonly transaction: string },
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<ChallengeAnswer> {
  signal?.throwIfAborted();
  // By hand, because AbortSignal.any() is missing from browsers that people still sign in with.
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, timeoutMs);
  signal?.addEventListener('abort', abort);
  const ask = async () => {
    const response = await fetch(new URL('/v1/challenges', brokerUrl), {
      method: 'POST',
      headers: { 'Content-Type': 'text/plain' },
      body: JSON.stringify(body),
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal: controller.signal,
    });
    return [response.status, await response.text()] as const;
  };
  try {
    // A browser breaks off what it loads when it takes up the certificates of its policy, in its first seconds, and when
    // the network changes. A challenge that nobody heard of left nothing behind.
    const answer = await ask().catch(ask);
    return readAnswer(...answer);
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause instanceof AttestError ? cause : new AttestError('broker_unreachable', { cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

function readAnswer(status: number, text: string): ChallengeAnswer {
  let answer: Record<string, unknown> = {};
  try {
    answer = Object(JSON.parse(text));
  } catch {
    // What is not JSON has none of the members looked for below.
  }
  const { challenge, mtls_url: mtlsUrl, code, user_text: userText } = answer;
  if (status === 200 && typeof challenge === 'string' && compactText.test(challenge)) {
    return { challenge, mtlsUrl: typeof mtlsUrl === 'string' ? mtlsUrl : undefined };
  }
  const problem = status < 400 ? undefined : problemCodes.find((known) => known === code);
  throw new AttestError(problem ?? 'broker_answer_malformed', {
    status,
    userText: typeof userText === 'string' ? userText : undefined,
  });
}
