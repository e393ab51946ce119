// The extension's README stays true: its policies are the ones that the browser tests run under, its places of host
// manifests and its oldest versions those of the code.
import { hostManifestBrowsers, hostManifestPlace } from '@countersign/native-host';
import { expect, it } from 'vitest';
import { browserManifest } from '../extension/browser-manifest.ts';
import { chromiumCompanyPolicy, firefoxCompanyPolicy } from './support/browser/company-policy.ts';
import { markedBlocks, readDocument, tableRows } from './support/documents.ts';

const document = readDocument('extension/README.md');
const managedStorage = { origins: ['https://sso.example.com'] };

function policyOf(about: string): unknown {
  const block = markedBlocks(document, 'policy').find((each) => each.about === about);
  return JSON.parse((block?.lines ?? []).filter((line) => !line.startsWith('```')).join('\n'));
}

it('shows the policy that the tests in Chromium run under', () => {
  const extensionId = 'nnmhlaghceakgnhalngjmlcnbjjgnepp';
  const installUrl = 'https://extensions.example.com/countersign/update.xml';
  expect(policyOf('chromium')).toEqual(
    chromiumCompanyPolicy({ extensionId, installUrl, managedStorage }),
  );
});

it('shows the policy that the tests in Firefox run under', () => {
  const extensionId = 'extension@countersign.dev';
  const installUrl = 'https://extensions.example.com/countersign/countersign-firefox.xpi';
  expect(policyOf('firefox')).toEqual({
    policies: firefoxCompanyPolicy({ extensionId, installUrl, managedStorage }),
  });
});

it('has the place of the host manifest for each browser and system', () => {
  const lines = document.slice(document.indexOf('<!-- host-manifests -->')).split('\n').slice(1);
  const rows = tableRows(lines.slice(0, lines.indexOf('')));
  expect(rows).toEqual(
    hostManifestBrowsers.map((browser) => [
      browser,
      ...(['linux', 'darwin', 'win32'] as const).map(
        (platform) => `\`${hostManifestPlace(browser, { scope: 'system' }, platform).path}\``,
      ),
    ]),
  );
});

it('says from which version of each browser the package can be installed', () => {
  const row = document.split('\n').find((line) => line.startsWith('| oldest version |'));
  const settings = (browser: string) => browserManifest(browser).browser_specific_settings;
  expect(row).toBe(
    `| oldest version | ${browserManifest('chrome').minimum_chrome_version} | ${Number(
      settings('firefox')?.gecko?.strict_min_version,
    )} | ${settings('safari')?.safari?.strict_min_version} |`,
  );
});
