import { removeBrowserPolicy } from '../support/browser/browser-policy.ts';
import { bakeProfile, withManagedBrowser } from '../support/browser/managed-session.ts';
import { startSignInWorld } from '../support/browser/sign-in-world.ts';
import { takeTurn } from '../support/browser/take-turn.ts';
import { type Figure, median, percentile } from './figures.ts';

const warmRuns = 40;
const coldRuns = 8;

/** Runs in the sign-in page: a challenge, then the time from the question to the extension's answer. */
function askOnce(brokerUrl: string, clientId: string): string {
  return `(async () => {
    const transaction = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))
      .replaceAll('+', '-').replaceAll('/', '_').replace('=', '');
    const response = await fetch(${JSON.stringify(`${brokerUrl}/v1/challenges`)}, {
      method: 'POST', headers: { 'Content-Type': 'text/plain' },
      body: JSON.stringify({ client_id: ${JSON.stringify(clientId)}, transaction }),
    });
    const { challenge } = await response.json();
    const { port1, port2 } = new MessageChannel();
    const answered = new Promise((resolve) => {
      port1.onmessage = ({ data }) => data.type === 'answer' && resolve(data);
    });
    const startedAt = performance.now();
    postMessage({ type: 'countersign.attest', version: 1, challenge }, location.origin, [port2]);
    const answer = await answered;
    return { ok: answer.ok, ms: performance.now() - startedAt };
  })()`;
}

/**
 * From the page's question to the signed answer: page, content script, background, native host and back. Warm is a
 * browser in use; cold is one whose extension the browser has stopped. The host is started for each answer in both.
 */
export async function measurePage(): Promise<Figure[]> {
  const endTurn = await takeTurn();
  const { world, stop, removeFolders } = await startSignInWorld();
  try {
    const profile = await bakeProfile(world);
    return await withManagedBrowser(world, { profile }, async (browser) => {
      const page = await browser.newPage();
      await page.goto(world.ssoOrigin);
      const ask = async () => {
        const answer: unknown = await page.evaluate(
          askOnce(world.brokerUrl, world.client.clientId),
        );
        const { ok, ms }: { ok?: unknown; ms?: unknown } = Object(answer);
        if (ok !== true) throw new Error(`the device did not answer: ${JSON.stringify(answer)}`);
        return Number(ms);
      };
      const warm: number[] = [];
      await ask();
      for (let run = 0; run < warmRuns; run++) warm.push(await ask());
      const devtools = await browser.context.newCDPSession(page);
      await devtools.send('ServiceWorker.enable');
      const cold: number[] = [];
      for (let run = 0; run < coldRuns; run++) {
        await devtools.send('ServiceWorker.stopAllWorkers');
        await new Promise((resolve) => setTimeout(resolve, 300));
        cold.push(await ask());
      }
      const ms = (values: readonly number[], share: number) => percentile(values, share).toFixed(0);
      return [
        {
          name: 'page → signed answer, warm and cold',
          value: `${median(warm).toFixed(0)} ms, ${median(cold).toFixed(0)} ms`,
          target: '',
          note: `warm p95 ${ms(warm, 0.95)} ms of ${warmRuns}; cold, with the extension stopped, slowest ${ms(cold, 1)} ms of ${coldRuns}; headless Chromium`,
        },
      ];
    });
  } finally {
    await stop();
    removeBrowserPolicy();
    removeFolders();
    await endTurn();
  }
}
