import { defineBackground } from 'wxt/utils/define-background';
import { browserApi } from '../browser-api.ts';
import { createNativeHost } from '../native-host/native-host.ts';
import { startBackground } from '../start-background.ts';

export default defineBackground({
  // As a module it shares its code with the popup, which takes a third off the package.
  type: 'module',
  main() {
    const host = createNativeHost(browserApi.runtime, () => crypto.randomUUID());
    startBackground(browserApi, host, (line) => console.info(line));
  },
});
