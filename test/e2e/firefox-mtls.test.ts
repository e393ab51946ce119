// Firefox signs in with its client certificate, alone and beside the extension. As in Chromium: a key in software.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { makeCertificateDatabase } from '../support/browser/certificate-store.ts';
import {
  type PublishedFirefoxExtension,
  publishFirefoxExtension,
} from '../support/browser/firefox-package.ts';
import {
  registerFirefoxHost,
  removeFirefoxHost,
  signInWithFirefox,
  startFirefox,
  waitForBridge,
} from '../support/browser/firefox-session.ts';
import { type ManagedFirefox, makeFirefoxHome } from '../support/browser/managed-firefox.ts';
import { originsInPolicy, patternsOf } from '../support/browser/managed-session.ts';
import { recordedDecision } from '../support/browser/sign-in-page.ts';
import { stateDirectoryOf } from '../support/device-host.ts';
import { takeSoftwareKey } from '../support/software-key.ts';

const world = inject('world');
const system = { scope: 'system' } as const;

describe('Firefox with a certificate in its profile', () => {
  let extension: PublishedFirefoxExtension;
  let firefox: ManagedFirefox;

  beforeAll(async () => {
    extension = await publishFirefoxExtension(join(world.folders.scratch, 'firefox-mtls'));
    const home = makeFirefoxHome(world.folders.scratch);
    const pair = takeSoftwareKey(stateDirectoryOf(world.enrolledHost));
    makeCertificateDatabase(join(home.home, 'profile'), pair);
    firefox = await startFirefox({ world, extension, home });
    await waitForBridge(firefox, extension, patternsOf(originsInPolicy(world)));
  });
  afterAll(async () => {
    removeFirefoxHost(system);
    await firefox?.close();
  });

  test('signs in by it where the extension has no host', async () => {
    removeFirefoxHost(system);
    const shown = await signInWithFirefox(firefox, world.ssoOrigin);
    expect(shown).toMatchObject({ outcome: 'trusted', reasonCode: 'trusted_device' });
    expect(await recordedDecision(world, shown.decisionId)).toMatchObject({
      channel: 'mtls',
      reported_unavailable: 'host_not_installed',
    });
  });

  test('signs in by it and the extension, of one device', async () => {
    registerFirefoxHost(system, extension, world.enrolledHost);
    const shown = await signInWithFirefox(firefox, world.ssoOrigin);
    expect(shown).toMatchObject({ outcome: 'trusted', reasonCode: 'trusted_device' });
    expect(await recordedDecision(world, shown.decisionId)).toMatchObject({ channel: 'both' });
  });
});
