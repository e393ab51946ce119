import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { zipSync } from 'fflate';
import { beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { featuresOfManifest, missingFeatures } from '../support/browser/browser-support.ts';
import {
  buildExtension,
  builtExtensionOf,
  type ExtensionTarget,
} from '../support/browser/build-extension.ts';
import { readFolder } from '../support/browser/crx3-package.ts';
import { usedBrowserApis } from '../support/browser/used-browser-apis.ts';

const targets = ['chrome', 'firefox', 'safari'] as const;

beforeAll(async () => {
  for (const target of targets) await buildExtension(target);
});

const manifestSchema = z.looseObject({
  minimum_chrome_version: z.optional(z.string()),
  browser_specific_settings: z.optional(
    z.record(z.string(), z.looseObject({ strict_min_version: z.string() })),
  ),
  background: z.looseObject({
    service_worker: z.optional(z.string()),
    scripts: z.optional(z.array(z.string())),
  }),
  action: z.looseObject({ default_popup: z.string() }),
  icons: z.record(z.string(), z.string()),
  storage: z.optional(z.object({ managed_schema: z.string() })),
});

function readPackage(target: ExtensionTarget) {
  const files = readFolder(builtExtensionOf(target));
  const text = Buffer.from(files['manifest.json'] ?? []).toString();
  return { files, manifest: z.parse(manifestSchema, JSON.parse(text)) };
}

describe.each(targets)('the package for %s', (target) => {
  test('asks for what it needs and opens no other door to pages', () => {
    const { manifest } = readPackage(target);
    const { permissions, host_permissions, content_security_policy, ...rest } = manifest;
    expect(manifest.manifest_version).toBe(3);
    expect(permissions).toEqual(['storage', 'nativeMessaging', 'scripting']);
    expect(host_permissions).toEqual(['https://*/*', 'http://localhost/*', 'http://127.0.0.1/*']);
    // The browser's own policy for extension pages is as strict as it gets: scripts of the package alone.
    expect(content_security_policy).toBeUndefined();
    expect(Object.keys(rest)).not.toContain('content_scripts');
    expect(Object.keys(rest)).not.toContain('externally_connectable');
    expect(Object.keys(rest)).not.toContain('web_accessible_resources');
    expect(Object.keys(rest)).not.toContain('optional_permissions');
  });

  test('names only files that it has', () => {
    const { files, manifest } = readPackage(target);
    const { service_worker, scripts = [] } = manifest.background;
    const background = service_worker === undefined ? scripts : [service_worker];
    expect(background).toHaveLength(1);
    const named = [
      ...background,
      manifest.action.default_popup,
      ...(manifest.storage === undefined ? [] : [manifest.storage.managed_schema]),
      ...Object.values(manifest.icons),
      // Registered at run time, under this name.
      'content-scripts/bridge.js',
    ];
    expect(Object.keys(files)).toEqual(expect.arrayContaining(named));
  });

  test('stays below 60 KB', () => {
    const { files } = readPackage(target);
    expect(zipSync(files, { level: 9 }).length).toBeLessThanOrEqual(60_000);
  });
});

/** What a browser may lack at the oldest version that its package admits, and why that does not matter. */
const harmless: Record<ExtensionTarget, Record<string, string>> = {
  chrome: {
    'manifest.minimum_chrome_version': 'has no data; Chromium alone knows it',
    'manifest.key': 'has no data; Chromium alone knows it',
    'api.runtime.onMessage.return_promise': 'webextension-polyfill answers by sendResponse',
  },
  firefox: {
    'api.runtime.MessageSender.documentLifecycle': 'looked at where it is there',
    'api.storage.StorageArea.setAccessLevel': 'called where it is there',
  },
  safari: {
    'api.runtime.MessageSender.documentLifecycle': 'looked at where it is there',
    'api.storage.StorageArea.setAccessLevel': 'called where it is there, and a refusal is logged',
    'api.storage.managed': 'the list of the host stands in for it',
    'api.scripting.executeScript.injectImmediately': 'is always so',
    'api.action.setBadgeBackgroundColor': 'does nothing: the badge has the color of the system',
  },
};

test.each(targets)('the oldest %s that is admitted has what the package uses', (target) => {
  const { manifest } = readPackage(target);
  const settings = manifest.browser_specific_settings ?? {};
  const oldest =
    target === 'chrome'
      ? manifest.minimum_chrome_version
      : settings[target === 'firefox' ? 'gecko' : target]?.strict_min_version;
  expect(oldest).toMatch(/^\d+(\.\d+)?$/);
  const features = [...featuresOfManifest(manifest), ...usedBrowserApis];
  const missing = missingFeatures(target, oldest ?? '', features);
  expect(missing.map(({ feature }) => feature).sort()).toEqual(
    Object.keys(harmless[target]).sort(),
  );
});

test('the data shows what an older or another browser lacks', () => {
  const { manifest } = readPackage('safari');
  const features = featuresOfManifest(manifest);
  expect(missingFeatures('safari', '16.3', features)).toEqual([
    { feature: 'manifest.background.type', since: '16.4' },
  ]);
  expect(missingFeatures('firefox', '142.0', features)).toContainEqual({
    feature: 'manifest.background.service_worker',
    since: 'never',
  });
  expect(missingFeatures('safari', '16.4', ['manifest.no_such_key'])).toEqual([
    { feature: 'manifest.no_such_key', since: 'unknown' },
  ]);
});

const findings = z.looseObject({
  errors: z.array(z.unknown()),
  warnings: z.array(z.unknown()),
  notices: z.array(z.unknown()),
});

test('Mozilla’s linter finds nothing in the package for Firefox', async () => {
  const linter = fileURLToPath(new URL('../node_modules/.bin/addons-linter', import.meta.url));
  const args = ['--output', 'json', '--self-hosted', builtExtensionOf('firefox')];
  const { stdout } = await promisify(execFile)(linter, args, { timeout: 60_000 });
  expect(z.parse(findings, JSON.parse(stdout))).toMatchObject({
    errors: [],
    warnings: [],
    notices: [],
  });
});
