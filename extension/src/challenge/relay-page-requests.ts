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

/** The way to the background. */
export type Background = {
  ask(request: AttestPageRequest): Promise<unknown>;
  /** False for ever once the extension was updated or removed under the open page. */
  isThere(): boolean;
};

const lookAgainMs = 250;

/**
 * The content script: hands requests of its own page to the background and answers on the transferred port alone.
 * Checks here only keep noise away; the background decides, from what the browser says about the sender.
 */
export function relayPageRequests(page: PageWindow, background: Background): void {
  if (page.top !== page) return;
  page.addEventListener('message', (event) => {
    // Frames and openers can post to this window too; they are some other page.
    if (event.source !== page) return;
    const request = parsePageRequest(event.data);
    const port = event.ports[0];
    if (request === undefined || port === undefined) return;
    // An update puts a new script beside this one, and both hold the port: the one that is cut off leaves it alone.
    if (!background.isThere()) return;
    const reply = (message: AttestPageReply) => port.postMessage(message);
    reply({ type: 'received', version: pageMessageVersion });
    void answerOf(request, background).then((answer) => {
      reply(answer);
      port.close();
    });
  });
}

async function answerOf(
  request: AttestPageRequest,
  background: Background,
): Promise<AttestPageReply> {
  if (request.challenge.length > maxChallengeBytes) {
    return { type: 'answer', ok: false, code: 'challenge_malformed' };
  }
  const answer = parsePageReply(await askWhileThere(request, background));
  return answer?.type === 'answer'
    ? answer
    : { type: 'answer', ok: false, code: 'extension_error' };
}

/** What the background answers; `undefined` when it failed twice, or is gone, which nobody tells who waits for it. */
async function askWhileThere(request: AttestPageRequest, background: Background): Promise<unknown> {
  let timer: ReturnType<typeof setInterval> | undefined;
  const gone = new Promise<undefined>((resolve) => {
    timer = setInterval(() => {
      if (!background.isThere()) resolve(undefined);
    }, lookAgainMs);
  });
  try {
    return await Promise.race([askTwice(request, background), gone]);
  } catch {
    return undefined;
  } finally {
    clearInterval(timer);
  }
}

/** Browsers may stop a background at any time, also while it answers; the next message starts it again. */
async function askTwice(request: AttestPageRequest, background: Background): Promise<unknown> {
  try {
    return await background.ask(request);
  } catch (error) {
    if (!background.isThere()) throw error;
    return background.ask(request);
  }
}
