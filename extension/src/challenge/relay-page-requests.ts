import {
  type AttestPageReply,
  type AttestPageRequest,
  pageMessageVersion,
  parsePageReply,
  parsePageRequest,
} from '@countersign/protocol';
import { maxChallengeBytes } from '@countersign/protocol/limits';

/** As much of a page's window as the content script touches. */
export type PageWindow = {
  readonly top: unknown;
  addEventListener(type: 'message', listener: (event: PageMessageEvent) => void): void;
};
export type PageMessageEvent = {
  readonly data: unknown;
  readonly source: unknown;
  readonly ports: readonly Pick<MessagePort, 'postMessage' | 'close'>[];
};

/**
 * The content script: hands requests of its own page to the background and answers on the transferred port alone.
 * Checks here only keep noise away; the background decides, from what the browser says about the sender.
 */
export function relayPageRequests(
  page: PageWindow,
  askBackground: (request: AttestPageRequest) => Promise<unknown>,
): void {
  if (page.top !== page) return;
  page.addEventListener('message', (event) => {
    // Frames and openers can post to this window too; they are some other page.
    if (event.source !== page) return;
    const request = parsePageRequest(event.data);
    const port = event.ports[0];
    if (request === undefined || port === undefined) return;
    const reply = (message: AttestPageReply) => port.postMessage(message);
    reply({ type: 'received', version: pageMessageVersion });
    void answerOf(request, askBackground).then((answer) => {
      reply(answer);
      port.close();
    });
  });
}

async function answerOf(
  request: AttestPageRequest,
  askBackground: (request: AttestPageRequest) => Promise<unknown>,
): Promise<AttestPageReply> {
  if (request.challenge.length > maxChallengeBytes) {
    return { type: 'answer', ok: false, code: 'challenge_malformed' };
  }
  let answer: AttestPageReply | undefined;
  try {
    answer = parsePageReply(await askBackground(request));
  } catch {
    // The extension was updated or removed under the open page, or its background failed.
    answer = undefined;
  }
  return answer?.type === 'answer'
    ? answer
    : { type: 'answer', ok: false, code: 'extension_error' };
}
