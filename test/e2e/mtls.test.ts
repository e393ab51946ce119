// Chromium signs in with its client certificate. The key is the file keystore's, put into a throw-away NSS database: a
// path for keys in software, which shows the browser's part and promises no hardware.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { BrokerClient, randomText } from '@countersign/testkit/broker-client';
import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { makeHomeWithCertificate } from '../support/browser/certificate-store.ts';
import { withManagedBrowser } from '../support/browser/managed-session.ts';
import { recordedDecision, signIn } from '../support/browser/sign-in-page.ts';
import { stateDirectoryOf } from '../support/device-host.ts';
import { takeSoftwareKey } from '../support/software-key.ts';

const world = inject('world');
const profile = inject('bakedProfile');
let home: string;

beforeAll(() => {
  const pair = takeSoftwareKey(stateDirectoryOf(world.enrolledHost));
  home = makeHomeWithCertificate(world.folders.scratch, pair);
});

/** What the mTLS address answers while `use` runs. */
async function watchMtls<Result>(page: Page, use: () => Promise<Result>) {
  const statuses: number[] = [];
  page.on('response', (response) => {
    if (response.url().startsWith(world.mtlsUrl)) statuses.push(response.status());
  });
  const began = performance.now();
  const result = await use();
  return { result, statuses, tookMs: performance.now() - began };
}

describe('a browser with a certificate that policy selects', () => {
  test('signs in without the extension, and nobody is asked anything', async () => {
    const { result, statuses } = await withManagedBrowser(
      world,
      { withoutExtension: true, home, selectCertificate: true },
      async (browser) => {
        const page = await browser.newPage();
        return watchMtls(page, () => signIn(page, world.ssoOrigin));
      },
    );
    expect(result).toMatchObject({ outcome: 'trusted', reasonCode: 'trusted_device' });
    expect(statuses).toEqual([200]);
    expect(await recordedDecision(world, result.decisionId)).toMatchObject({
      decision: true,
      channel: 'mtls',
      device_trusted: true,
    });
  });

  test('signs in with the extension and the certificate, of one device', async () => {
    const shown = await withManagedBrowser(
      world,
      { profile, home, selectCertificate: true },
      async (browser) => signIn(await browser.newPage(), world.ssoOrigin),
    );
    expect(shown).toMatchObject({ outcome: 'trusted', reasonCode: 'trusted_device' });
    const both = await recordedDecision(world, shown.decisionId);
    expect(both).toMatchObject({ channel: 'both', response: { origin: world.ssoOrigin } });
  });

  test('gives nothing to a page that it was not meant for', async () => {
    const broker = new BrokerClient({
      fetch,
      brokerUrl: world.brokerUrl,
      ownerToken: world.ownerToken,
    });
    const challenge = await broker.challenge(world.client, randomText());
    const { result, statuses } = await withManagedBrowser(
      world,
      { withoutExtension: true, home, selectCertificate: true },
      async (browser) => {
        const page = await browser.newPage();
        await page.goto(world.attacker.unknown);
        return watchMtls(page, () =>
          page.evaluate(
            async ([url, text]) => {
              const ask = (mode: RequestMode) =>
                fetch(`${url}/v1/mtls-evidence`, {
                  method: 'POST',
                  mode,
                  credentials: 'include',
                  headers: { 'Content-Type': 'text/plain' },
                  body: JSON.stringify({ challenge: text }),
                }).then(
                  (response) => response.text(),
                  () => 'unreadable',
                );
              return [await ask('cors'), await ask('no-cors')];
            },
            [world.mtlsUrl, challenge] as const,
          ),
        );
      },
    );
    // The browser presents the certificate to whoever asks; what the page gets is nothing.
    expect(result).toEqual(['unreadable', '']);
    expect(statuses.length).toBeGreaterThan(0);
    expect(statuses.filter((status) => status !== 403)).toEqual([]);
  });
});

describe('a browser that does not present a certificate', () => {
  test('because it has none: signs in by the extension, without a prompt or a delay', async () => {
    const emptyHome = mkdtempSync(join(world.folders.scratch, 'home-'));
    const { result, statuses, tookMs } = await withManagedBrowser(
      world,
      { profile, home: emptyHome, selectCertificate: true },
      async (browser) => {
        const page = await browser.newPage();
        return watchMtls(page, () => signIn(page, world.ssoOrigin));
      },
    );
    expect(result).toMatchObject({ outcome: 'trusted', reasonCode: 'trusted_device' });
    expect(statuses).toEqual([403]);
    expect(tookMs).toBeLessThan(10_000);
    expect(await recordedDecision(world, result.decisionId)).toMatchObject({
      channel: 'extension',
    });
  });

  test('because policy selects none: waits only so long for a choice that nobody makes', async () => {
    const options = { home } as const;
    const byExtension = await withManagedBrowser(world, { ...options, profile }, async (browser) =>
      signIn(await browser.newPage(), world.ssoOrigin),
    );
    expect(byExtension).toMatchObject({ outcome: 'trusted', reasonCode: 'trusted_device' });
    expect(await recordedDecision(world, byExtension.decisionId)).toMatchObject({
      channel: 'extension',
    });
    const withoutExtension = await withManagedBrowser(
      world,
      { ...options, withoutExtension: true },
      async (browser) => signIn(await browser.newPage(), world.ssoOrigin),
    );
    expect(withoutExtension).toMatchObject({
      outcome: 'not-trusted',
      reasonCode: 'extension_not_installed',
    });
  });
});
