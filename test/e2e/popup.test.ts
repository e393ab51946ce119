import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, inject, test } from 'vitest';
import { type ManagedBrowser, waitForRegistration } from '../support/browser/managed-chromium.ts';
import {
  originsInPolicy,
  patternsOf,
  useLauncher,
  withManagedBrowser,
} from '../support/browser/managed-session.ts';
import { installDeviceHost, stateDirectoryOf, writeDyingProgram } from '../support/device-host.ts';

const world = inject('world');
const profile = inject('bakedProfile');
const enrolledState = stateDirectoryOf(world.enrolledHost);

/** Pictures of what people see, for those who want to look: COUNTERSIGN_SCREENSHOTS names a folder. */
async function keepPicture(page: Page, name: string): Promise<void> {
  const folder = process.env.COUNTERSIGN_SCREENSHOTS;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`), fullPage: true });
  }
}

async function openPopup(browser: ManagedBrowser): Promise<Page> {
  const page = await browser.newPage();
  await page.setViewportSize({ width: 360, height: 320 });
  await page.goto(`chrome-extension://${world.extension.id}/popup.html`);
  return page;
}

/** What the popup says once it has stopped checking. */
async function findingOf(page: Page) {
  await page.locator('body:not([data-state=checking])').waitFor();
  const details = page.locator('#for-support');
  if ((await details.getAttribute('open')) === null) await details.locator('summary').click();
  const labels = await page.locator('dt').allTextContents();
  const values = await page.locator('dd').allTextContents();
  return {
    state: await page.locator('body').getAttribute('data-state'),
    headline: await page.locator('#headline').textContent(),
    whoFixesIt: await page.locator('#who-fixes-it').textContent(),
    details: Object.fromEntries(labels.map((label, index) => [label, values[index] ?? ''])),
  };
}

describe('the popup', () => {
  test('says that the browser can prove the device, and on which pages', async () => {
    const origins = [world.ssoOrigin, world.attacker.inPolicyAndHost];
    const managedStorage = { origins };
    await withManagedBrowser(world, { profile, managedStorage }, async (browser) => {
      await waitForRegistration(browser, patternsOf(origins));
      const page = await openPopup(browser);
      const finding = await findingOf(page);
      await keepPicture(page, 'ready');
      expect(finding).toMatchObject({
        state: 'ready',
        headline: 'This browser can prove your device',
        whoFixesIt: '',
        details: {
          'Sign-in pages': origins.join('\n'),
          'Listed by': 'browser policy',
          Configuration: 'owned by root',
        },
      });
      expect(finding.details.Code).toBeUndefined();
    });
  });

  test('follows the host through every state when asked to check again', async () => {
    const origins = [world.ssoOrigin, world.attacker.inPolicyAndHost];
    const everyOrigin = originsInPolicy(world);
    const notEnrolled = await installDeviceHost(world.folders.rootOwned, { origins });
    const development = await installDeviceHost(world.folders.rootOwned, {
      origins: everyOrigin,
      state_directory: enrolledState,
      development: true,
    });
    const dying = writeDyingProgram(notEnrolled.folder);
    await withManagedBrowser(world, { profile }, async (browser) => {
      const page = await openPopup(browser);
      const states = [
        ['attention', 'origin_not_allowed', world.enrolledHost.launcher],
        ['not_ready', 'not_enrolled', notEnrolled.launcher],
        ['not_ready', 'host_not_installed', 'missing'],
        ['not_ready', 'host_exited', dying],
        ['development', 'development', development.launcher],
      ] as const;
      for (const [state, code, launcher] of states) {
        useLauncher(world, launcher);
        await page.getByRole('button', { name: 'Check again' }).click();
        const finding = await findingOf(page);
        await keepPicture(page, code);
        expect(finding, code).toMatchObject({ state, details: { Code: code } });
      }
    });
  });

  test('says that policy blocks the host', async () => {
    await withManagedBrowser(world, { profile, hostAllowed: false }, async (browser) => {
      const page = await openPopup(browser);
      const finding = await findingOf(page);
      await keepPicture(page, 'host_blocked_by_policy');
      expect(finding).toMatchObject({
        state: 'not_ready',
        headline: 'The browser blocks the Countersign program',
        whoFixesIt: 'Your IT support can mend this.',
        details: { Code: 'host_blocked_by_policy' },
      });
    });
  });

  test('names the wrong field of a malformed policy, and the old origins stay', async () => {
    const managedStorage = { origins: [world.ssoOrigin, 'https://sso.corp.test/login'] };
    await withManagedBrowser(world, { profile, managedStorage }, async (browser) => {
      const page = await openPopup(browser);
      const finding = await findingOf(page);
      await keepPicture(page, 'managed_storage_malformed');
      expect(finding).toMatchObject({
        state: 'attention',
        details: { Code: 'managed_storage_malformed', 'Browser policy': 'malformed' },
      });
      expect(finding.details.Cause).toContain('origins.1');
      await waitForRegistration(browser, patternsOf(originsInPolicy(world)));
    });
  });

  test('can be used with the keyboard and a screen reader', async () => {
    await withManagedBrowser(world, { profile }, async (browser) => {
      const page = await openPopup(browser);
      await page.locator('body:not([data-state=checking])').waitFor();
      expect(await page.locator('main').ariaSnapshot()).toContain('button "Check again"');
      const focused: string[] = [];
      for (let presses = 0; presses < 3; presses++) {
        await page.keyboard.press('Tab');
        focused.push((await page.locator(':focus').textContent()) ?? '');
        if (presses === 1) await page.keyboard.press('Enter');
      }
      expect(focused).toEqual(['Check again', 'Details for IT support', 'Copy details']);
      await page.keyboard.press('Enter');
      await page.getByRole('status').filter({ hasText: 'Copied' }).waitFor();
      expect(await page.locator('#finding').getAttribute('aria-live')).toBe('polite');
    });
  });
});
