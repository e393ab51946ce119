import { defineContentScript } from 'wxt/utils/define-content-script';
import { browserApi } from '../browser-api.ts';
import type { ExtensionMessage } from '../challenge/extension-messages.ts';
import { relayPageRequests } from '../challenge/relay-page-requests.ts';

/** Where the script of this extension, which pages cannot see, says that it is at work in a document. */
const marker = Symbol.for('countersign.bridge');

export default defineContentScript({
  registration: 'runtime',
  runAt: 'document_start',
  main() {
    const shared: typeof globalThis & { [marker]?: () => boolean } = globalThis;
    // Put into open pages as well as registered for new ones, it may arrive twice; the page must get one answer.
    if (shared[marker]?.()) return;
    shared[marker] = isThere;
    relayPageRequests(window, {
      ask({ challenge }) {
        const message: ExtensionMessage = { type: 'attest', challenge };
        return browserApi.runtime.sendMessage(message);
      },
      isThere,
    });
  },
});

function isThere(): boolean {
  try {
    return browserApi.runtime.id !== undefined;
  } catch {
    // Browsers that throw for a script that was cut off.
    return false;
  }
}
