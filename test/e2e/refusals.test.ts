import type { Page } from 'playwright-core';
import { describe, expect, inject, test } from 'vitest';
import type { ManagedBrowser } from '../support/browser/managed-chromium.ts';
import { withManagedBrowser } from '../support/browser/managed-session.ts';
import { beginRelayedSignIn } from '../support/browser/phishing-relay.ts';
import { recordedDecision, signIn } from '../support/browser/sign-in-page.ts';
import { writeDyingProgram, writeProgram } from '../support/device-host.ts';

const world = inject('world');
const profile = inject('bakedProfile');

const received = { type: 'received', version: 1 };

/** Everything that the browser's page got back for a challenge; `target` is a window, as the page names it. */
function askDevice(page: Page, challenge: string, target = 'window'): Promise<unknown> {
  return page.evaluate(`askDevice(${JSON.stringify(challenge)}, ${target})`);
}

async function pageAt(browser: ManagedBrowser, url: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  return page;
}

describe('a phishing site that relays the challenge of the real broker', () => {
  test('#4 #56 meets silence where nobody has configured it', async () => {
    const relayed = await beginRelayedSignIn(world);
    await withManagedBrowser(world, { profile }, async (browser) => {
      const page = await pageAt(browser, world.attacker.unknown);
      expect(await askDevice(page, relayed.challenge)).toEqual([]);
      // The extension is there; it only does not listen on that page.
      const configured = await pageAt(browser, world.attacker.inPolicy);
      expect(await askDevice(configured, relayed.challenge)).toContainEqual(received);
    });
    const shown = await relayed.finish({ unavailable: 'extension_not_installed' });
    expect(shown).toMatchObject({
      outcome: 'not-trusted',
      reasonCode: 'extension_not_installed',
    });
    expect(await recordedDecision(world, shown.decisionId)).toMatchObject({
      decision: false,
      device_trusted: false,
      device_id: '',
    });
  });

  test('#4 is refused by the host, even if the browser policy lists it, and by the challenge, even if the host does', async () => {
    await withManagedBrowser(world, { profile }, async (browser) => {
      for (const origin of [world.attacker.inPolicy, world.attacker.inPolicyAndHost]) {
        const relayed = await beginRelayedSignIn(world);
        const page = await pageAt(browser, origin);
        expect(await askDevice(page, relayed.challenge)).toEqual([
          received,
          { type: 'answer', ok: false, code: 'origin_not_allowed' },
        ]);
        const shown = await relayed.finish({ unavailable: 'origin_not_allowed' });
        expect(await recordedDecision(world, shown.decisionId)).toMatchObject({
          decision: false,
          reason: 'origin_not_allowed',
        });
      }
    });
  });

  test('#8 gets nothing from a challenge that it changed', async () => {
    const { challenge } = await beginRelayedSignIn(world);
    const [header, , signature] = challenge.split('.');
    const claims = JSON.parse(Buffer.from(challenge.split('.')[1] ?? '', 'base64url').toString());
    claims.origins = [world.attacker.inPolicyAndHost];
    const changed = Buffer.from(JSON.stringify(claims)).toString('base64url');
    await withManagedBrowser(world, { profile }, async (browser) => {
      const page = await pageAt(browser, world.attacker.inPolicyAndHost);
      expect(await askDevice(page, `${header}.${changed}.${signature}`)).toEqual([
        received,
        { type: 'answer', ok: false, code: 'challenge_signature_invalid' },
      ]);
    });
  });
});

describe('#5 a frame', () => {
  test('of the sign-in site is not shown inside another page', async () => {
    await withManagedBrowser(world, { profile }, async (browser) => {
      const page = await pageAt(
        browser,
        `${world.attacker.inPolicy}/?frame=${encodeURIComponent(world.ssoOrigin)}`,
      );
      // The page's own load event has waited for the frame.
      const frame = await (await page.waitForSelector('iframe')).contentFrame();
      expect(frame?.url()).toBe('chrome-error://chromewebdata/');
    });
  });

  // The framed pages are of configured origins, so that only their being framed is wrong.
  test.each(['', '&sandbox'])(
    'gets no answer, from itself or from the page above%s',
    async (sandbox) => {
      const { challenge } = await beginRelayedSignIn(world);
      const { inPolicy, inPolicyAndHost } = world.attacker;
      await withManagedBrowser(world, { profile }, async (browser) => {
        const page = await pageAt(
          browser,
          `${inPolicy}/?frame=${encodeURIComponent(inPolicyAndHost)}${sandbox}`,
        );
        const frame = await (await page.waitForSelector('iframe')).contentFrame();
        await frame?.waitForFunction('window.askDevice');
        for (const target of ['window', 'parent']) {
          const replies = await frame?.evaluate(
            `askDevice(${JSON.stringify(challenge)}, ${target})`,
          );
          expect(replies, target).toEqual([]);
        }
        // The page above is listened to; had it passed its own message on, it would have been answered.
        expect(await askDevice(page, challenge)).toMatchObject([received, { ok: false }]);
      });
    },
  );
});

describe('without a working host', () => {
  const launchers = world.enrolledHost.folder;
  test.each([
    ['host_not_installed', { launcher: 'missing' }],
    ['host_blocked_by_policy', { hostAllowed: false }],
    ['host_exited', { launcher: writeDyingProgram(launchers) }],
    ['host_answer_malformed', { launcher: writeProgram(launchers, 'babbles', 'echo hello there') }],
  ] as const)('the sign-in is decided as not trusted: %s', async (code, options) => {
    const shown = await withManagedBrowser(world, { profile, ...options }, async (browser) =>
      signIn(await browser.newPage(), world.ssoOrigin),
    );
    expect(shown).toMatchObject({ outcome: 'not-trusted', reasonCode: code });
    expect(await recordedDecision(world, shown.decisionId)).toMatchObject({
      decision: false,
      reason: code,
      subject: 'ada',
      device_trusted: false,
      device_id: '',
    });
  });
});
