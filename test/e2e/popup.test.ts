import { describe, expect, inject, test } from 'vitest';
import { installHostManifest } from '../support/browser/browser-policy.ts';
import { waitForRegistration } from '../support/browser/managed-chromium.ts';
import {
  originsInPolicy,
  patternsOf,
  useLauncher,
  withManagedBrowser,
} from '../support/browser/managed-session.ts';
import {
  axeViolations,
  expectGoodToUse,
  findingOf,
  keepPicture,
  openPopup,
  popupHeight,
  sizeOf,
  toolbarOf,
  waitForCode,
} from '../support/browser/popup-page.ts';
import { signIn } from '../support/browser/sign-in-page.ts';
import {
  hostEnrolledDaysAgo,
  hostWithDamagedEnrollment,
  launcherOfVersion,
  launcherWithClock,
} from '../support/device-conditions.ts';
import {
  installDeviceHost,
  stateDirectoryOf,
  writeDyingProgram,
  writeProgram,
} from '../support/device-host.ts';

const world = inject('world');
const profile = inject('bakedProfile');
const extensionId = world.extension.id;
const { rootOwned, scratch } = world.folders;
const allPages = originsInPolicy(world);
const enrolledState = stateDirectoryOf(world.enrolledHost);

type Expected = readonly [
  code: string,
  state: 'ready' | 'development' | 'attention' | 'not_ready',
  whoFixesIt: string,
  /** Makes it so; the popup is asked to check again afterwards. */
  cause: string | (() => void),
];

const support = 'Your IT support';
const labels = {
  ready: 'Ready',
  development: 'Test setup',
  attention: 'Needs attention',
  not_ready: 'Not trusted',
};
const badges = { ready: '', development: 'test', attention: '!', not_ready: '!' };

/** Brings the device into each state and looks at popup and toolbar. */
async function expectStates(expected: readonly Expected[]): Promise<void> {
  await withManagedBrowser(world, { profile }, async (browser) => {
    const page = await openPopup(browser, extensionId);
    for (const [code, state, whoFixesIt, cause] of expected) {
      if (typeof cause === 'string') useLauncher(world, cause);
      else cause();
      await page.getByRole('button', { name: 'Check again' }).click();
      await waitForCode(page, code);
      const finding = await findingOf(page);
      await keepPicture(page, code);
      expect(finding, code).toMatchObject({
        state,
        label: labels[state],
        card: { 'Who can fix this': whoFixesIt, 'Next step': expect.stringMatching(/\.$/) },
        details: { Code: code, Cause: expect.stringMatching(/./) },
      });
      await expectGoodToUse(page);
      // The popup changes the button after itself.
      await expect
        .poll(() => toolbarOf(browser), { timeout: 20_000, message: code })
        .toEqual({ title: `Countersign: ${finding.headline}`, badge: badges[state] });
    }
  });
}

describe('the popup', () => {
  test('says that the computer can prove itself, on which pages and until when', async () => {
    const managedStorage = { origins: [world.ssoOrigin] };
    const siteHost = new URL(world.ssoOrigin).host;
    await withManagedBrowser(world, { profile, managedStorage }, async (browser) => {
      await waitForRegistration(browser, patternsOf([world.ssoOrigin]));
      const page = await openPopup(browser, extensionId);
      await waitForCode(page, 'none');
      const finding = await findingOf(page);
      expect(finding).toMatchObject({
        state: 'ready',
        label: 'Ready',
        headline: 'This computer can prove itself',
        card: {
          'Sign-in pages': siteHost,
          Certificate: expect.stringMatching(/^until \d+ \w+ 20\d\d$/),
          'Last proof': 'Not yet',
        },
        details: {
          'Sign-in pages': world.ssoOrigin,
          'Listed by': 'browser policy',
          Configuration: 'owned by root',
        },
      });
      expect(finding.details.Code).toBeUndefined();
      await expectGoodToUse(page);
      await expect
        .poll(() => toolbarOf(browser), { timeout: 20_000 })
        .toEqual({ title: 'Countersign: This computer can prove itself', badge: '' });

      await signIn(await browser.newPage(), world.ssoOrigin);
      await expect
        .poll(async () => (await findingOf(page)).card['Last proof'], { timeout: 20_000 })
        .toMatch(new RegExp(`^Today, \\d\\d:\\d\\d\n${siteHost}$`));
      await keepPicture(page, 'ready');
      await page.locator('summary').click();
      await keepPicture(page, 'ready-details');
    });
  });

  test('names every trouble of the program and who mends it', async () => {
    const origins = allPages;
    const notEnrolled = await installDeviceHost(rootOwned, { origins });
    const invalid = await installDeviceHost(rootOwned, { origins: [] });
    const untrusted = await installDeviceHost(scratch, { origins });
    const damaged = await hostWithDamagedEnrollment(rootOwned, world.enrolledHost, { origins });
    const { folder } = notEnrolled;
    const otherExtension = 'a'.repeat(32);
    await expectStates([
      ['host_not_installed', 'not_ready', support, 'missing'],
      [
        'host_forbidden',
        'not_ready',
        support,
        () => installHostManifest(notEnrolled.launcher, otherExtension),
      ],
      ['host_exited', 'not_ready', 'You', writeDyingProgram(folder)],
      [
        'host_answer_malformed',
        'not_ready',
        support,
        writeProgram(folder, 'babbles', 'echo hello there'),
      ],
      ['host_version_unsupported', 'not_ready', support, launcherOfVersion(folder, 2)],
      ['host_configuration_invalid', 'not_ready', support, invalid.launcher],
      ['host_configuration_untrusted', 'not_ready', support, untrusted.launcher],
      ['not_enrolled', 'not_ready', support, notEnrolled.launcher],
      ['key_unavailable', 'not_ready', support, damaged.launcher],
    ]);
  });

  test('names every trouble of certificate, clock and lists, and a test configuration', async () => {
    const origins = allPages;
    const expired = await hostEnrolledDaysAgo(rootOwned, 400, { origins });
    const expiring = await hostEnrolledDaysAgo(rootOwned, 356, { origins });
    const tomorrow = await hostEnrolledDaysAgo(rootOwned, -3, { origins });
    const otherPages = await installDeviceHost(rootOwned, {
      origins: ['https://other.corp.test'],
      state_directory: enrolledState,
    });
    const development = await installDeviceHost(scratch, {
      origins,
      state_directory: enrolledState,
      development: true,
    });
    await expectStates([
      ['certificate_expired', 'not_ready', support, expired.launcher],
      ['certificate_expires_soon', 'attention', support, expiring.launcher],
      ['certificate_not_yet_valid', 'not_ready', 'You', tomorrow.launcher],
      ['origin_not_allowed', 'not_ready', support, otherPages.launcher],
      ['origin_not_allowed', 'attention', support, world.enrolledHost.launcher],
      ['development', 'development', support, development.launcher],
    ]);
  });

  test('waits for a silent program, without moving, and says so in the end', async () => {
    await withManagedBrowser(world, { profile }, async (browser) => {
      const page = await openPopup(browser, extensionId);
      await findingOf(page);
      useLauncher(world, writeProgram(world.enrolledHost.folder, 'silent', 'exec sleep 12'));
      await page.getByRole('button', { name: 'Check again' }).click();
      await page.locator('body[data-state=checking]').waitFor();
      expect(await page.locator('#finding').getAttribute('aria-busy')).toBe('true');
      expect(await sizeOf(page)).toEqual({ width: 360, height: popupHeight });
      await keepPicture(page, 'checking');
      expect(await axeViolations(page)).toEqual([]);
      await waitForCode(page, 'host_timeout');
      expect((await findingOf(page)).card['Who can fix this']).toBe('You');
      await keepPicture(page, 'host_timeout');
      await expectGoodToUse(page);
    });
  });

  test('tells of a sign-in that got no proof, until the next one does', async () => {
    const managedStorage = { origins: [world.ssoOrigin] };
    const launcher = await launcherWithClock(world.enrolledHost, '+20m');
    await withManagedBrowser(world, { profile, managedStorage, launcher }, async (browser) => {
      await waitForRegistration(browser, patternsOf([world.ssoOrigin]));
      const page = await openPopup(browser, extensionId);
      await waitForCode(page, 'none');
      const tab = await browser.newPage();
      expect((await signIn(tab, world.ssoOrigin)).reasonCode).toBe('clock_skew');
      await waitForCode(page, 'clock_skew');
      const finding = await findingOf(page);
      await keepPicture(page, 'clock_skew');
      expect(finding).toMatchObject({
        state: 'attention',
        headline: 'The last sign-in got no proof',
        card: { 'Who can fix this': 'You' },
      });
      await expectGoodToUse(page);

      useLauncher(world, world.enrolledHost.launcher);
      expect((await signIn(tab, world.ssoOrigin)).outcome).toBe('trusted');
      await waitForCode(page, 'none');
    });
  });
});
