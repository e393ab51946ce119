import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page, type Worker } from 'playwright-core';

/** One run of Chromium under the policy that is in force when it starts. */
export type ManagedBrowser = {
  readonly context: BrowserContext;
  newPage(): Promise<Page>;
  /** Waits until the extension's background runs; only where policy allows developer tools. */
  waitForBackground(): Promise<void>;
  /** What the extension's background says to `expression`, which must be one that may be asked twice. */
  askBackground<Answer>(expression: string): Promise<Answer>;
  /** Stops the background, as browsers do when it is idle or memory is short. */
  stopBackground(): Promise<void>;
  /** Ends the browser and removes its profile. */
  close(): Promise<void>;
  /** Ends the browser and leaves its profile, for `launchChromium` to start from. */
  closeKeepingProfile(): Promise<string>;
};

/** Everything under .test is this machine, and nothing else has an address: the browser stays off the network. */
const resolverRules = 'MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost';

/**
 * Starts Chromium on a copy of `bakedProfile`, or on an empty one, that lies in `parentFolder`.
 *
 * @param home in place of this user's own home folder, in which the browser looks for client certificates
 */
export async function launchChromium(
  parentFolder: string,
  bakedProfile?: string,
  home?: string,
): Promise<ManagedBrowser> {
  const profile = mkdtempSync(join(parentFolder, 'profile-'));
  if (bakedProfile !== undefined) cpSync(bakedProfile, profile, { recursive: true });
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium',
    headless: true,
    // Pictures for documents are made for screens with small pixels.
    deviceScaleFactor: Number(process.env.COUNTERSIGN_PICTURE_SCALE ?? 1),
    ...(home === undefined ? {} : { env: { ...process.env, HOME: home } }),
    chromiumSandbox: process.getuid?.() !== 0,
    // Each of these alone keeps a forced extension from being installed.
    ignoreDefaultArgs: ['--disable-extensions', '--disable-background-networking'],
    args: [
      `--host-resolver-rules=${resolverRules}`,
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
      '--disable-domain-reliability',
    ],
    timeout: 60_000,
  });
  context.setDefaultTimeout(20_000);
  return {
    context,
    newPage: () => context.newPage(),
    async waitForBackground() {
      await runningBackground(context);
    },
    async askBackground<Answer>(expression: string) {
      const deadline = performance.now() + 20_000;
      for (;;) {
        const worker = await runningBackground(context);
        try {
          return await within(10_000, worker.evaluate<Answer>(expression));
        } catch (error) {
          // It may have been replaced or stopped since it last answered, and then says no more than "No SW".
          if (performance.now() > deadline) throw error;
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      }
    },
    async stopBackground() {
      const page = await context.newPage();
      const session = await context.newCDPSession(page);
      const stopped = new Promise<void>((resolve) =>
        session.on('ServiceWorker.workerVersionUpdated', ({ versions }) => {
          if (versions.some(({ runningStatus }) => runningStatus === 'stopped')) resolve();
        }),
      );
      await session.send('ServiceWorker.enable');
      await session.send('ServiceWorker.stopAllWorkers');
      await stopped;
      await page.close();
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
    async closeKeepingProfile() {
      await context.close();
      return profile;
    },
  };
}

async function runningBackground(context: BrowserContext): Promise<Worker> {
  // An update leaves the worker that it replaced on the list; what it is asked comes to nothing.
  for (const worker of context.serviceWorkers().toReversed()) {
    const asked = worker.evaluate<boolean>('chrome.tabs.query({}).then(() => true)');
    if (await within(1_000, asked).catch(() => false)) return worker;
  }
  return context.waitForEvent('serviceworker', { timeout: 30_000 });
}

async function within<Answer>(limitMs: number, asked: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  });
  return await Promise.race([asked, silence]).finally(() => clearTimeout(timer));
}

/**
 * Waits until the extension listens on `patterns`. The policy of a fresh profile reaches the extension seconds after
 * its installation, and page loads keep it away: nothing is navigated meanwhile.
 */
export async function waitForRegistration(
  browser: ManagedBrowser,
  patterns: readonly string[],
  timeoutMs = 30_000,
): Promise<void> {
  const wanted = JSON.stringify([...patterns].sort());
  const deadline = performance.now() + timeoutMs;
  let seen = '';
  while (performance.now() < deadline) {
    seen = await browser.askBackground<string>(registeredMatches);
    if (seen === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`the extension listens on ${seen}, not on ${wanted}`);
}

/** Runs inside the extension. */
const registeredMatches = `chrome.scripting.getRegisteredContentScripts().then((scripts) =>
  JSON.stringify(scripts.flatMap(({ matches }) => matches).sort()))`;
