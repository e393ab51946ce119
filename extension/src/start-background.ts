import type { AttestPageReply, UnavailableCode } from '@countersign/protocol';
import { parseFields } from '@countersign/protocol/schemas';
import type { BrowserApi } from './browser-api.ts';
import { answerChallenge, type ChallengeAnswer } from './challenge/answer-challenge.ts';
import { extensionMessage } from './challenge/extension-messages.ts';
import { writeLastAnswer } from './challenge/last-answer.ts';
import { senderFactsOf } from './challenge/sender-facts.ts';
import { hideFromContentScripts, readAppliedOrigins } from './managed-config/applied-origins.ts';
import { createSynchronizer } from './managed-config/create-synchronizer.ts';
import { messageOf } from './native-host/browser-errors.ts';
import type { NativeHost } from './native-host/native-host.ts';
import { createToolbarRefresher } from './toolbar/refresh-toolbar.ts';

export type Log = (line: string) => void;

const mayNotAsk: ReadonlySet<UnavailableCode> = new Set([
  'extension_frame_not_allowed',
  'extension_origin_not_allowed',
]);

/**
 * Wires the background together. Every listener is added before the first await: a browser that wakes a stopped
 * background delivers the event only to listeners that exist by then.
 */
export function startBackground(
  api: BrowserApi,
  host: NativeHost,
  log: Log,
  now: () => Date = () => new Date(),
): void {
  const synchronize = createSynchronizer(api, host);
  const refreshToolbar = createToolbarRefresher(api, host, log, now);

  async function synchronizeAndLog(): Promise<true> {
    try {
      const choice = await synchronize();
      if (choice.ok) log(`listening on ${choice.origins.join(' ')} (${choice.source})`);
      else log(`kept the origins as they were: ${choice.reason}: ${choice.detail}`);
    } catch (error) {
      log(`the content script could not be registered: ${messageOf(error)}`);
    }
    return true;
  }

  async function attest(challenge: string, sender: object): Promise<AttestPageReply> {
    const facts = senderFactsOf(sender);
    try {
      const origins = (await readAppliedOrigins(api.storage))?.origins ?? [];
      const answer = await answerChallenge(challenge, facts, origins, host);
      void keepInMind(answer, facts.origin);
      if (answer.ok) return { type: 'answer', ok: true, response: answer.response };
      log(`refused a challenge from ${facts.origin}: ${answer.code}: ${answer.detail}`);
      return { type: 'answer', ok: false, code: answer.code };
    } catch (error) {
      log(`failed on a challenge from ${facts.origin}: ${messageOf(error)}`);
      return { type: 'answer', ok: false, code: 'extension_error' };
    }
  }

  /** For popup and toolbar; the page has its answer already. Pages that may not ask at all leave no trace. */
  async function keepInMind(answer: ChallengeAnswer, origin: string | undefined): Promise<void> {
    if (origin === undefined || (!answer.ok && mayNotAsk.has(answer.code))) return;
    try {
      await writeLastAnswer(api.storage, answer, origin, now());
    } catch (error) {
      log(`the outcome was not kept: ${messageOf(error)}`);
    }
    refreshToolbar();
  }

  const followPolicy = () => void synchronizeAndLog().then(refreshToolbar);

  api.runtime.onMessage.addListener((message, sender) => {
    const parsed = parseFields(extensionMessage, message);
    if (!parsed.ok) return undefined;
    return parsed.value.type === 'attest'
      ? attest(parsed.value.challenge, sender)
      : synchronizeAndLog();
  });
  api.runtime.onInstalled.addListener(followPolicy);
  api.runtime.onStartup.addListener(followPolicy);
  // A first installation meets its policy only here, seconds after it started.
  api.storage.onChanged.addListener((_changes, areaName) => {
    if (areaName === 'managed') followPolicy();
  });

  hideFromContentScripts(api.storage).catch((error: unknown) =>
    log(`storage stays visible to content scripts: ${messageOf(error)}`),
  );
}
