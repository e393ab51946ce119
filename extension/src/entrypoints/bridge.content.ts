import { defineContentScript } from 'wxt/utils/define-content-script';
import { browserApi } from '../browser-api.ts';
import type { ExtensionMessage } from '../challenge/extension-messages.ts';
import { relayPageRequests } from '../challenge/relay-page-requests.ts';

export default defineContentScript({
  registration: 'runtime',
  runAt: 'document_start',
  main() {
    relayPageRequests(window, ({ challenge }) => {
      const message: ExtensionMessage = { type: 'attest', challenge };
      return browserApi.runtime.sendMessage(message);
    });
  },
});
