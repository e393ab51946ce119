import { describe, expect, inject, test } from 'vitest';
import { launchChromium, waitForRegistration } from '../support/browser/managed-chromium.ts';
import {
  originsInPolicy,
  patternsOf,
  prepareMachine,
  useLauncher,
  withManagedBrowser,
} from '../support/browser/managed-session.ts';
import {
  expectGoodToUse,
  findingOf,
  keepPicture,
  openPopup,
  waitForCode,
} from '../support/browser/popup-page.ts';

const world = inject('world');
const profile = inject('bakedProfile');
const extensionId = world.extension.id;
const malformed = { origins: [world.ssoOrigin, 'https://sso.corp.test/login'] };
const registeredScripts = 'chrome.scripting.getRegisteredContentScripts()';
const support = 'Your IT support';

describe('the popup and browser policy', () => {
  test('policy blocks the host', async () => {
    await withManagedBrowser(world, { profile, hostAllowed: false }, async (browser) => {
      const page = await openPopup(browser, extensionId);
      await waitForCode(page, 'host_blocked_by_policy');
      const finding = await findingOf(page);
      await keepPicture(page, 'host_blocked_by_policy');
      expect(finding).toMatchObject({
        state: 'not_ready',
        headline: 'The browser blocks Countersign',
        card: { 'Who can fix this': support },
      });
      expect(finding.details.Cause).toContain('NativeMessagingAllowlist');
      await expectGoodToUse(page);
    });
  });

  test('a malformed policy is named by its field, and the old origins stay', async () => {
    await withManagedBrowser(world, { profile, managedStorage: malformed }, async (browser) => {
      const page = await openPopup(browser, extensionId);
      // Opened while the browser still holds its policy back, it follows by itself.
      await waitForCode(page, 'managed_storage_malformed');
      const finding = await findingOf(page);
      await keepPicture(page, 'managed_storage_malformed');
      expect(finding).toMatchObject({
        state: 'attention',
        card: { 'Who can fix this': support },
        details: { 'Browser policy': 'malformed' },
      });
      expect(finding.details.Cause).toContain('origins.1');
      await expectGoodToUse(page);
      await waitForRegistration(browser, patternsOf(originsInPolicy(world)));
    });
  });

  test('a malformed policy that is the first means that no page works', async () => {
    const options = { managedStorage: malformed, launcher: 'missing' } as const;
    await withManagedBrowser(world, options, async (browser) => {
      await browser.waitForBackground();
      const page = await openPopup(browser, extensionId);
      await expect
        .poll(async () => (await findingOf(page)).details['Browser policy'], { timeout: 20_000 })
        .toBe('malformed');
      useLauncher(world, world.enrolledHost.launcher);
      await page.getByRole('button', { name: 'Check again' }).click();
      await waitForCode(page, 'managed_storage_malformed');
      const finding = await findingOf(page);
      expect(finding).toMatchObject({ state: 'not_ready', label: 'Not trusted' });
      expect(finding.explanation).toContain('no sign-in page works');
      await expectGoodToUse(page);
    });
  });

  test('a policy that the browser still holds back is waited for', async () => {
    // The extension gets into a profile without ever learning of a page.
    prepareMachine(world, { managedStorage: 'none', launcher: 'missing' });
    const first = await launchChromium(world.folders.scratch);
    await first.waitForBackground().finally(() => first.closeKeepingProfile());
    const unaware = await first.closeKeepingProfile();
    // On a busy machine policy may be there before the popup is. Each attempt begins with a copy of the profile.
    let sawPending = false;
    for (let attempt = 1; attempt <= 3 && !sawPending; attempt++) {
      await withManagedBrowser(world, { profile: unaware }, async (browser) => {
        const page = await openPopup(browser, extensionId);
        sawPending = (await findingOf(page)).details.Code === 'policy_pending';
        await keepPicture(page, 'policy_pending');
        await waitForCode(page, 'origin_not_allowed');
      });
    }
    expect(sawPending).toBe(true);
  });

  test('a policy without origins', async () => {
    const managedStorage = { origins: [] };
    await withManagedBrowser(world, { profile, managedStorage }, async (browser) => {
      const page = await openPopup(browser, extensionId);
      await waitForCode(page, 'no_origins');
      await keepPicture(page, 'no_origins');
      expect((await findingOf(page)).state).toBe('not_ready');
      await expectGoodToUse(page);
    });
  });

  test('a browser that has lost the registration is mended by checking again', async () => {
    const managedStorage = { origins: [world.ssoOrigin] };
    await withManagedBrowser(world, { profile, managedStorage }, async (browser) => {
      await waitForRegistration(browser, patternsOf([world.ssoOrigin]));
      const page = await openPopup(browser, extensionId);
      const codeWithoutRegistration = async () => {
        // The start-up of the browser may register once more.
        const { length } = await browser.askBackground<object[]>(registeredScripts);
        if (length > 0) await browser.askBackground('chrome.scripting.unregisterContentScripts()');
        await page.reload();
        return (await findingOf(page)).details.Code;
      };
      await expect.poll(codeWithoutRegistration, { timeout: 20_000 }).toBe('not_registered');
      await keepPicture(page, 'not_registered');
      expect((await findingOf(page)).card['Who can fix this']).toBe('You');
      await expectGoodToUse(page);
      await page.getByRole('button', { name: 'Check again' }).click();
      await waitForCode(page, 'none');
      await waitForRegistration(browser, patternsOf([world.ssoOrigin]));
    });
  });
});

describe('the popup', () => {
  test('can be used with the keyboard alone', async () => {
    await withManagedBrowser(world, { profile, launcher: 'missing' }, async (browser) => {
      const page = await openPopup(browser, extensionId);
      await waitForCode(page, 'host_not_installed');
      const focused: string[] = [];
      const pressTab = async () => {
        await page.keyboard.press('Tab');
        focused.push((await page.locator(':focus').textContent()) ?? '');
        // Whoever cannot use a mouse must see where they are.
        const outline = await page
          .locator(':focus')
          .evaluate((element) => getComputedStyle(element).outlineStyle);
        expect(outline).toBe('solid');
      };
      for (let presses = 0; presses < 3; presses++) await pressTab();
      expect(focused).toEqual(['Check again', 'Copy details', 'Details for IT support']);
      await keepPicture(page, 'focus');

      await page.keyboard.press('Enter');
      expect(await page.locator('#for-support').getAttribute('open')).toBe('');
      await page.keyboard.press('Shift+Tab');
      await page.keyboard.press('Enter');
      await page.getByRole('status').filter({ hasText: 'Copied' }).waitFor();
      await browser.context.grantPermissions(['clipboard-read']);
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      expect(copied).toContain('Countersign: The Countersign program is missing\n');
      expect(copied).toContain('Code: host_not_installed\n');

      useLauncher(world, world.enrolledHost.launcher);
      await page.keyboard.press('Shift+Tab');
      await page.keyboard.press('Enter');
      await waitForCode(page, 'origin_not_allowed');
      // The focus stays where the person has put it.
      expect(await page.locator(':focus').textContent()).toBe('Check again');
    });
  });

  test('reads well to those who hear it', async () => {
    await withManagedBrowser(world, { profile, launcher: 'missing' }, async (browser) => {
      const page = await openPopup(browser, extensionId);
      await waitForCode(page, 'host_not_installed');
      expect(await page.locator('html').getAttribute('lang')).toBe('en');
      expect(await page.title()).toBe('Countersign');
      const finding = page.locator('#finding');
      expect(await finding.getAttribute('aria-live')).toBe('polite');
      expect(await finding.getAttribute('aria-busy')).toBe('false');
      expect(await page.locator('body').ariaSnapshot()).toBe(
        [
          '- banner:',
          '  - heading "Countersign" [level=1]',
          '- main:',
          '  - region "The Countersign program is missing":',
          '    - paragraph: Not trusted',
          '    - heading "The Countersign program is missing" [level=2]',
          '    - paragraph: The extension is here, but the program that holds the key of this computer is not installed.',
          '    - term: Who can fix this',
          '    - definition: Your IT support',
          '    - term: Next step',
          '    - definition: Ask them to install it on this computer.',
          '  - button "Check again"',
          '  - button "Copy details"',
          '  - status',
          '  - group: Details for IT support',
        ].join('\n'),
      );
    });
  });
});
