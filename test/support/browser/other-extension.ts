import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import {
  createPackageKey,
  type PublishedExtension,
  packExtension,
  publishExtension,
} from './crx3-package.ts';
import type { ManagedBrowser } from './managed-chromium.ts';

/** What web pages may say to the other extension, and what it answers. */
export const otherExtensionPing = { ping: 'pong' };

/**
 * An extension of somebody else with every permission that could be of use to it, which web pages may talk to. Its page
 * runs what a test evaluates in it.
 */
export function publishOtherExtension(parentFolder: string): PublishedExtension {
  const folder = mkdtempSync(join(parentFolder, 'other-extension-'));
  const source = join(folder, 'source');
  mkdirSync(source);
  const files = {
    'manifest.json': JSON.stringify({
      manifest_version: 3,
      name: 'Other',
      version: '1.0',
      permissions: ['nativeMessaging', 'scripting', 'tabs', 'declarativeNetRequest'],
      host_permissions: ['<all_urls>'],
      externally_connectable: { ids: ['*'], matches: ['https://*.evil.test/*'] },
      background: { service_worker: 'background.js' },
    }),
    'background.js': `chrome.runtime.onMessageExternal.addListener((message, sender, answer) =>
      answer(message.ping));`,
    'page.html': '<!doctype html><title>Other</title>',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(source, name), text);
  return publishExtension(packExtension(source, createPackageKey()), folder);
}

/** Opens the page of an extension as soon as policy has brought it. */
export async function openExtensionPage(
  browser: ManagedBrowser,
  extension: PublishedExtension,
): Promise<Page> {
  const page = await browser.newPage();
  const deadline = performance.now() + 20_000;
  for (;;) {
    try {
      await page.goto(`chrome-extension://${extension.id}/page.html`);
      return page;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
