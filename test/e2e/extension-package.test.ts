import { zipSync } from 'fflate';
import { expect, test } from 'vitest';
import { builtExtension } from '../support/browser/build-extension.ts';
import { readFolder } from '../support/browser/crx3-package.ts';

const files = readFolder(builtExtension);
const manifest = JSON.parse(Buffer.from(files['manifest.json'] ?? []).toString());

test('the package asks for what it needs and opens no other door to pages', () => {
  const { permissions, host_permissions, content_security_policy, ...rest } = manifest;
  expect(permissions).toEqual(['storage', 'nativeMessaging', 'scripting']);
  expect(host_permissions).toEqual(['https://*/*', 'http://localhost/*', 'http://127.0.0.1/*']);
  // The browser's own policy for extension pages is as strict as it gets: scripts of the package alone.
  expect(content_security_policy).toBeUndefined();
  expect(Object.keys(rest)).not.toContain('content_scripts');
  expect(Object.keys(rest)).not.toContain('externally_connectable');
  expect(Object.keys(rest)).not.toContain('web_accessible_resources');
  expect(Object.keys(rest)).not.toContain('optional_permissions');
});

test('the package names only files that it has', () => {
  const named = [
    manifest.background.service_worker,
    manifest.action.default_popup,
    manifest.storage.managed_schema,
    ...Object.values(manifest.icons),
    // Registered at run time, under this name.
    'content-scripts/bridge.js',
  ];
  expect(Object.keys(files)).toEqual(expect.arrayContaining(named));
});

test('the package stays below 60 KB', () => {
  expect(zipSync(files, { level: 9 }).length).toBeLessThanOrEqual(60_000);
});
