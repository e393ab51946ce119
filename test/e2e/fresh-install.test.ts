import { expect, inject, test } from 'vitest';
import { waitForRegistration } from '../support/browser/managed-chromium.ts';
import {
  originsInPolicy,
  patternsOf,
  useLauncher,
  withManagedBrowser,
} from '../support/browser/managed-session.ts';
import { recordedDecision, signIn } from '../support/browser/sign-in-page.ts';

const world = inject('world');

test('a new browser installs the extension, waits for its policy, and signs in', async () => {
  // Without a host there is no other list of origins: only managed storage, when it arrives, can name them.
  await withManagedBrowser(world, { launcher: 'missing' }, async (browser) => {
    await waitForRegistration(browser, patternsOf(originsInPolicy(world)));
    useLauncher(world, world.enrolledHost.launcher);
    const shown = await signIn(await browser.newPage(), world.ssoOrigin);
    expect(shown).toMatchObject({ outcome: 'trusted', reasonCode: 'trusted_device' });
    expect(await recordedDecision(world, shown.decisionId)).toMatchObject({
      decision: true,
      device_trusted: true,
    });
  });
});

test('where policy sets no origins, the extension listens on those of the host', async () => {
  await withManagedBrowser(world, { managedStorage: 'none' }, async (browser) => {
    const { ssoOrigin, attacker } = world;
    await waitForRegistration(browser, patternsOf([ssoOrigin, attacker.inPolicyAndHost]));
    const shown = await signIn(await browser.newPage(), ssoOrigin);
    expect(shown).toMatchObject({ outcome: 'trusted', reasonCode: 'trusted_device' });
  });
});
