import { cpSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeLauncher } from '@countersign/native-host';
import { nativeHostName } from '@countersign/protocol/native-messages';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { builtExtension } from '../support/browser/build-extension.ts';
import { packExtension, publishExtension } from '../support/browser/crx3-package.ts';
import {
  launchChromium,
  type ManagedBrowser,
  waitForRegistration,
} from '../support/browser/managed-chromium.ts';
import {
  originsInPolicy,
  patternsOf,
  prepareMachine,
  useLauncher,
  withManagedBrowser,
} from '../support/browser/managed-session.ts';
import { findingOf, openPopup, toolbarOf } from '../support/browser/popup-page.ts';
import { signIn, signInOnOpenPage } from '../support/browser/sign-in-page.ts';
import { builtProgram } from '../support/built-program.ts';
import { launcherOfVersion } from '../support/device-conditions.ts';
import { writeProgram } from '../support/device-host.ts';

const world = inject('world');
const profile = inject('bakedProfile');
const { folder: hostFolder, launcher: enrolledLauncher } = world.enrolledHost;

const trusted = { outcome: 'trusted', reasonCode: 'trusted_device' };
/** Whatever happens, the person must not sit before a page that does nothing. */
const patienceMs = 5_000;

async function timed<Result>(work: Promise<Result>): Promise<{ result: Result; tookMs: number }> {
  const beganMs = performance.now();
  const result = await work;
  return { result, tookMs: performance.now() - beganMs };
}

describe('managed storage that arrives late', () => {
  test('reaches a sign-in page that is open already', async () => {
    const nothingYet = { managedStorage: 'none', launcher: 'missing' } as const;
    await withManagedBrowser(world, nothingYet, async (browser) => {
      await browser.waitForBackground();
      const page = await browser.newPage();
      await page.goto(world.ssoOrigin);
      prepareMachine(world, {});
      await waitForRegistration(browser, patternsOf(originsInPolicy(world)));
      await expect.poll(() => hasBridge(browser, page.url()), { timeout: 20_000 }).toBe(true);
      expect(await signInOnOpenPage(page)).toMatchObject(trusted);
    });
  });
});

describe('a restart of the browser', () => {
  test('is followed by a sign-in on the very first page', async () => {
    prepareMachine(world, {});
    const first = await launchChromium(world.folders.scratch, profile);
    const shown = await signIn(await first.newPage(), world.ssoOrigin).finally(() =>
      first.closeKeepingProfile(),
    );
    expect(shown).toMatchObject(trusted);
    const kept = await first.closeKeepingProfile();
    await withManagedBrowser(world, { profile: kept }, async (browser) => {
      expect(await signIn(await browser.newPage(), world.ssoOrigin)).toMatchObject(trusted);
      // What the button shows does not outlive the browser; it is looked up anew.
      await expect
        .poll(async () => (await toolbarOf(browser)).title, { timeout: 20_000 })
        .toBe('Countersign: Some sign-in pages are not allowed here');
    });
  });
});

describe('an update of the extension while the browser runs', () => {
  const publish = (version: string) =>
    publishExtension(
      packExtension(builtExtension, world.packageKey, version),
      dirname(fileURLToPath(world.extension.updateUrl)),
    );
  afterEach(() => void publish('0.1.0'));

  /** Publishes a newer version and has policy demand it; resolves when it runs. */
  async function update(browser: ManagedBrowser, version: string, launcher: string) {
    publish(version);
    prepareMachine(world, { minimumVersion: version, launcher });
    // Asked more often, the browser does not come to look at its policy.
    const often = { timeout: 30_000, interval: 500 };
    await expect.poll(() => runningVersion(browser), often).toBe(version);
  }

  test('a page that is open goes on working, without being loaded again', async () => {
    await withManagedBrowser(world, { profile }, async (browser) => {
      const page = await browser.newPage();
      await page.goto(world.ssoOrigin);
      await update(browser, '0.1.1', enrolledLauncher);
      await expect.poll(() => hasBridge(browser, page.url()), { timeout: 20_000 }).toBe(true);
      const { result, tookMs } = await timed(signInOnOpenPage(page));
      expect(result).toMatchObject(trusted);
      expect(tookMs).toBeLessThan(patienceMs);
    });
  });

  test('a page that is waiting gets one clear error, and the next sign-in succeeds', async () => {
    const silent = writeProgram(hostFolder, 'silent-during-update', 'exec sleep 12');
    await withManagedBrowser(world, { profile, launcher: silent }, async (browser) => {
      const page = await browser.newPage();
      await page.goto(world.ssoOrigin);
      const waiting = signInOnOpenPage(page);
      await update(browser, '0.1.2', silent);
      const { result, tookMs } = await timed(waiting);
      expect(result).toMatchObject({ outcome: 'not-trusted', reasonCode: 'extension_error' });
      expect(tookMs).toBeLessThan(patienceMs);
      useLauncher(world, enrolledLauncher);
      // The update has taken the registration away; what was applied last is restored before policy arrives.
      await waitForRegistration(browser, patternsOf(originsInPolicy(world)), patienceMs);
      expect(await signIn(page, world.ssoOrigin)).toMatchObject(trusted);
    });
  });
});

describe('an upgrade of the host while the browser runs', () => {
  test('takes effect with the next sign-in, and the moment in between has a code', async () => {
    const program = await builtProgram('native-host');
    const current = join(hostFolder, 'current');
    const programName = basename(program);
    const install = (name: string, version: string) => {
      const folder = join(hostFolder, name);
      cpSync(dirname(program), folder, { recursive: true });
      setVersion(join(folder, 'countersign-program.js'), version);
      // A link is replaced in one step, as package managers do.
      symlinkSync(folder, `${current}-new`);
      renameSync(`${current}-new`, current);
    };
    install('release-1', '0.1.0');
    const launcher = join(hostFolder, 'upgraded-host');
    writeLauncher(launcher, {
      nodePath: process.execPath,
      programPath: join(current, programName),
      configurationPath: world.enrolledHost.configurationFile,
    });
    await withManagedBrowser(world, { profile, launcher }, async (browser) => {
      const page = await browser.newPage();
      expect(await signIn(page, world.ssoOrigin)).toMatchObject(trusted);
      const popup = await openPopup(browser, world.extension.id);
      expect((await findingOf(popup)).details['Host version']).toBe('0.1.0');

      renameSync(current, `${current}-away`);
      await browser.context.clearCookies();
      const { result, tookMs } = await timed(signIn(page, world.ssoOrigin));
      expect(result.outcome).toBe('not-trusted');
      // Which of the two depends on whether the browser's write was faster than the program's end.
      expect(['host_exited', 'host_answer_malformed']).toContain(result.reasonCode);
      expect(tookMs).toBeLessThan(patienceMs);

      install('release-2', '0.2.0');
      await browser.context.clearCookies();
      expect(await signIn(page, world.ssoOrigin)).toMatchObject(trusted);
      await popup.getByRole('button', { name: 'Check again' }).click();
      await expect
        .poll(async () => (await findingOf(popup)).details['Host version'], { timeout: 20_000 })
        .toBe('0.2.0');
    });
  });

  test.each([2, 0])('a host of protocol version %i is told from a broken one', async (version) => {
    const launcher = launcherOfVersion(hostFolder, version);
    await withManagedBrowser(world, { profile, launcher }, async (browser) => {
      const page = await browser.newPage();
      const { result, tookMs } = await timed(signIn(page, world.ssoOrigin));
      expect(result).toMatchObject({
        outcome: 'not-trusted',
        reasonCode: 'host_version_unsupported',
      });
      expect(tookMs).toBeLessThan(patienceMs);
      useLauncher(world, enrolledLauncher);
      expect(await signIn(page, world.ssoOrigin)).toMatchObject(trusted);
    });
  });

  test('a host tells a newer extension that it is older', async () => {
    await withManagedBrowser(world, { profile }, async (browser) => {
      const message = { version: 2, id: '1', type: 'status', later: true };
      const answer = await browser.askBackground(
        `chrome.runtime.sendNativeMessage('${nativeHostName}', ${JSON.stringify(message)})`,
      );
      expect(answer).toMatchObject({ type: 'error', id: '1', code: 'host_version_unsupported' });
    });
  });
});

describe('a background that the browser has stopped', () => {
  test('is there again for the next sign-in', async () => {
    await withManagedBrowser(world, { profile }, async (browser) => {
      const page = await browser.newPage();
      await page.goto(world.ssoOrigin);
      await browser.stopBackground();
      const { result, tookMs } = await timed(signInOnOpenPage(page));
      expect(result).toMatchObject(trusted);
      expect(tookMs).toBeLessThan(patienceMs);
    });
  });

  test('in the middle of a sign-in is asked once more', async () => {
    const slow = writeProgram(hostFolder, 'slow', `sleep 1\nexec '${enrolledLauncher}' "$@"`);
    await withManagedBrowser(world, { profile, launcher: slow }, async (browser) => {
      const page = await browser.newPage();
      await page.goto(world.ssoOrigin);
      const asked = page.waitForResponse((response) => response.url().endsWith('/v1/challenges'));
      const signingIn = timed(signInOnOpenPage(page));
      await asked;
      // Long enough for the challenge to be with the host, and not for the host to have answered.
      await new Promise((resolve) => setTimeout(resolve, 300));
      await browser.stopBackground();
      const { result, tookMs } = await signingIn;
      expect(result).toMatchObject(trusted);
      // The slow host was started twice.
      expect(tookMs).toBeLessThan(2 * patienceMs);
    });
  });
});

/** Changes the version that a built host says it is, wherever its code has it. */
function setVersion(file: string, version: string): void {
  const before = readFileSync(file, 'utf8');
  const after = before.replaceAll(/(["'`])0\.1\.0\1/g, `"${version}"`);
  if (after === before && version !== '0.1.0') throw new Error(`${file} names no version`);
  writeFileSync(file, after);
  // What was compiled from the code before.
  rmSync(join(dirname(file), 'countersign-program.compiled'));
}

/** The version of the extension whose background runs; empty while none does. */
async function runningVersion(browser: ManagedBrowser): Promise<string> {
  const [worker] = browser.context.serviceWorkers().slice(-1);
  if (worker === undefined) return '';
  const silence = new Promise<string>((resolve) => setTimeout(() => resolve(''), 500));
  const version = worker.evaluate<string>('chrome.runtime.getManifest().version').catch(() => '');
  return Promise.race([version, silence]);
}

/** Whether the content script is at work in the open page of this address, as the extension itself can see. */
async function hasBridge(browser: ManagedBrowser, url: string): Promise<boolean> {
  return browser.askBackground<boolean>(`(async () => {
    const tabs = await chrome.tabs.query({});
    const tab = tabs.find((each) => each.url === ${JSON.stringify(url)});
    const [{ result }] = await chrome.scripting.executeScript({
      target: { tabId: tab.id },
      func: () => globalThis[Symbol.for('countersign.bridge')]?.() === true,
    });
    return result;
  })()`);
}
