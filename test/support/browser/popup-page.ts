import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import type { ManagedBrowser } from './managed-chromium.ts';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'));
const colorSchemes = ['light', 'dark'] as const;

/** Opens the popup in a tab as wide as the browser makes it, and taller than it ever is with its details closed. */
export async function openPopup(browser: ManagedBrowser, extensionId: string): Promise<Page> {
  const page = await browser.newPage();
  await page.setViewportSize({ width: 360, height: 320 });
  await page.goto(`chrome-extension://${extensionId}/popup.html`);
  return page;
}

/** What the popup says once it has stopped checking. */
export async function findingOf(page: Page) {
  await page.locator('body:not([data-state=checking])').waitFor();
  const text = async (selector: string) => (await page.locator(selector).textContent()) ?? '';
  return {
    state: await page.locator('body').getAttribute('data-state'),
    label: await text('#state-label'),
    headline: await text('#headline'),
    explanation: await text('#explanation'),
    card: await rowsOf(page, '#card'),
    details: await rowsOf(page, '#details'),
  };
}

async function rowsOf(page: Page, list: string): Promise<Record<string, string>> {
  const labels = await page.locator(`${list} dt`).allTextContents();
  const values = await page.locator(`${list} dd`).allTextContents();
  return Object.fromEntries(labels.map((label, index) => [label, values[index] ?? '']));
}

/** Waits until the popup says `code`; `none` is a popup without a problem. */
export async function waitForCode(page: Page, code: string): Promise<void> {
  await expect
    .poll(async () => (await findingOf(page)).details.Code ?? 'none', { timeout: 20_000 })
    .toBe(code);
}

/** What the button in the toolbar shows, as the browser itself says it. */
export async function toolbarOf(browser: ManagedBrowser) {
  return {
    title: await browser.askBackground<string>('chrome.action.getTitle({})'),
    badge: await browser.askBackground<string>('chrome.action.getBadgeText({})'),
  };
}

/**
 * Holds the popup, in light and dark and with its details open, against the rules that axe can check (WCAG 2.2 A and AA
 * and best practice), and against its own: everything fits its width, and with its details closed its height is always
 * the same.
 */
export async function expectGoodToUse(page: Page): Promise<void> {
  const details = page.locator('#for-support');
  await details.evaluate((element) => element.removeAttribute('open'));
  expect(await sizeOf(page), 'details closed').toEqual({ width: 360, height: popupHeight });
  await details.evaluate((element) => element.setAttribute('open', ''));
  expect((await sizeOf(page)).width, 'details open').toBe(360);
  for (const colorScheme of colorSchemes) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    expect(await axeViolations(page), colorScheme).toEqual([]);
  }
  await details.evaluate((element) => element.removeAttribute('open'));
}

/** Of the popup in every state, as long as its details are closed. In pixels. */
export const popupHeight = 516;

export function sizeOf(page: Page): Promise<{ width: number; height: number }> {
  return page.evaluate(() => ({
    width: document.documentElement.scrollWidth,
    height: Math.round(document.body.getBoundingClientRect().height),
  }));
}

/** What axe finds wrong with the page as it is now. */
export async function axeViolations(page: Page): Promise<unknown> {
  await page.evaluate(axeSource.toString());
  return page.evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => node.failureSummary) })))`);
}

/**
 * Pictures of what people see, for those who want to look: COUNTERSIGN_SCREENSHOTS names a folder. Ports, which are
 * others in each run and which no sign-in page has, are left out.
 */
export async function keepPicture(page: Page, name: string): Promise<void> {
  const folder = process.env.COUNTERSIGN_SCREENSHOTS;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  await page.evaluate(() => {
    for (const element of document.querySelectorAll('#explanation, #card dd')) {
      element.textContent = (element.textContent ?? '').replaceAll(/:\d{5}\b/g, '');
    }
  });
  for (const colorScheme of colorSchemes) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`), fullPage: true });
  }
}
