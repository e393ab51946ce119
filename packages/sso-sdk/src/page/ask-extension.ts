import {
  type AttestPageRequest,
  pageMessageType,
  pageMessageVersion,
  parsePageReply,
  type UnavailableCode,
} from '@countersign/protocol';
import { compactText } from './request-challenge.ts';

/** A content script says at once that it has the request; after this long there is none. */
const receivedWithinMs = 500;

export type ExtensionAnswer =
  | { readonly ok: true; readonly response: string }
  | { readonly ok: false; readonly code: UnavailableCode };

/**
 * Hands the challenge to the extension's content script and waits for its answer, at most `timeoutMs`. Rejects only
 * with the reason of `signal`.
 *
 * The answer comes on a port that only receivers of this one message hold, so nothing listens on the window. The first
 * well-formed answer counts. A reply that cannot be read is passed over, because it may come from the content script
 * that an extension update left behind, beside the one that is alive; if nothing better follows it is an
 * `extension_error`.
 */
export function askExtension(
  challenge: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<ExtensionAnswer> {
  return new Promise((resolve, reject) => {
    const { port1, port2 } = new MessageChannel();
    let received = false;
    let misunderstood = false;

    const end = () => {
      clearTimeout(receivedTimer);
      clearTimeout(answerTimer);
      signal?.removeEventListener('abort', abort);
      port1.onmessage = null;
      port1.onmessageerror = null;
      port1.close();
    };
    const settle = (answer: ExtensionAnswer) => {
      end();
      resolve(answer);
    };
    const giveUp = () => {
      const silence = received ? 'extension_timeout' : 'extension_not_installed';
      settle({ ok: false, code: misunderstood ? 'extension_error' : silence });
    };
    const abort = () => {
      end();
      reject(signal?.reason);
    };
    const answerTimer = setTimeout(giveUp, timeoutMs);
    const receivedTimer = setTimeout(() => {
      if (!received) giveUp();
    }, receivedWithinMs);

    port1.onmessage = ({ data }) => {
      const reply = parsePageReply(data);
      if (reply?.type === 'received') received = true;
      else if (reply && (!reply.ok || compactText.test(reply.response))) settle(reply);
      else misunderstood = true;
    };
    port1.onmessageerror = () => {
      misunderstood = true;
    };
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) return abort();

    const request: AttestPageRequest = {
      type: pageMessageType,
      version: pageMessageVersion,
      challenge,
    };
    try {
      // For this page's own origin only: should the window navigate meanwhile, the next document gets nothing.
      window.postMessage(request, location.origin, [port2]);
    } catch {
      settle({ ok: false, code: 'extension_error' });
    }
  });
}
