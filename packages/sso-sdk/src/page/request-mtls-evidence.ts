import { isSecureWebOrigin } from '@countersign/protocol';
import { compactText } from './request-challenge.ts';

/** Longer than a handshake over a bad line takes, and shorter than people wait. */
const withinMs = 4_000;
/** Once the extension has answered there is enough for a sign-in; this is for a handshake that is almost through. */
const afterExtensionMs = 300;

export type MtlsRequest = {
  /** The evidence, or `undefined` when there is none. Never rejects. */
  readonly evidence: Promise<string | undefined>;
  /** The extension has answered: not much more time. */
  hurry(): void;
  stop(): void;
};

/**
 * `POST /v1/mtls-evidence`: the browser proves its device certificate in the TLS handshake, the broker answers with its
 * own word for it. A browser without such a certificate is not asked and gets a refusal; whatever fails, there is just
 * no such evidence.
 *
 * Plain text, no header of ours: a preflight would be sent without the certificate.
 */
export function requestMtlsEvidence(mtlsUrl: string, challenge: string): MtlsRequest {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const timers = [setTimeout(stop, withinMs)];
  const ask = async () => {
    try {
      if (!isSecureWebOrigin(mtlsUrl)) return undefined;
      const response = await fetch(new URL('/v1/mtls-evidence', mtlsUrl), {
        method: 'POST',
        headers: { 'Content-Type': 'text/plain' },
        body: JSON.stringify({ challenge }),
        cache: 'no-store',
        // Without credentials a browser presents no certificate (Fetch, "credentials").
        credentials: 'include',
        redirect: 'error',
        signal: controller.signal,
      });
      const { evidence } = Object(await response.json());
      const isUsable = response.ok && typeof evidence === 'string' && compactText.test(evidence);
      return isUsable ? evidence : undefined;
    } catch {
      return undefined;
    } finally {
      timers.forEach(clearTimeout);
    }
  };
  return {
    evidence: ask(),
    hurry: () => timers.push(setTimeout(stop, afterExtensionMs)),
    stop,
  };
}
