import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeHostManifest } from '@countersign/native-host';
import * as z from 'zod/mini';
import { developmentExtensionId } from '../dev/development-extension-id.ts';
import { type DevtoolsPipe, devtoolsStdio, openDevtoolsPipe } from './devtools-pipe.ts';

export type PageRequest = { readonly method: string; readonly url: URL; readonly body: string };

export type DemoBrowserOptions = {
  readonly executable: string;
  readonly isHeadless: boolean;
  /** Left edge of the window on the screen. */
  readonly left: number;
  /** The unpacked extension, and the launcher of the native host that only this profile knows. */
  readonly managed?: { readonly extension: string; readonly launcher: string };
  readonly onRequest: (request: PageRequest) => void;
};

export type DemoBrowser = {
  /** Opens a page, or leads the one that is open there. */
  open(url: string): Promise<void>;
  /** Runs an expression in the page and gives its value. */
  evaluate(expression: string): Promise<unknown>;
  /** Resolves when the browser has ended, by the person or by `close()`. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
};

const attachedToTarget = z.object({
  sessionId: z.string(),
  targetInfo: z.object({ type: z.string() }),
});
const requestWillBeSent = z.object({
  request: z.object({ method: z.string(), url: z.string(), postData: z.optional(z.string()) }),
});
const evaluated = z.object({ result: z.object({ value: z.optional(z.unknown()) }) });
const endMs = 5_000;

function start(options: DemoBrowserOptions, profile: string): ChildProcess {
  const { executable, isHeadless, left } = options;
  const args = [
    `--user-data-dir=${profile}`,
    '--remote-debugging-pipe',
    '--enable-unsafe-extension-debugging',
    '--no-first-run',
    '--no-default-browser-check',
    '--disable-sync',
    `--window-position=${left},40`,
    '--window-size=720,860',
    ...(isHeadless ? ['--headless=new'] : []),
    // Chromium's sandbox refuses to run as root, as in a container.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    'about:blank',
  ];
  return spawn(executable, args, { stdio: [...devtoolsStdio] });
}

/** A browser that has ended can leave processes that go on for a moment, and write the profile anew. */
async function removeProfile(profile: string): Promise<void> {
  for (let attempt = 0; attempt < 10 && existsSync(profile); attempt++) {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    await sleep(200);
  }
}

/** Starts a browser with a profile that is removed with it. */
export async function startDemoBrowser(options: DemoBrowserOptions): Promise<DemoBrowser> {
  const profile = mkdtempSync(join(tmpdir(), 'countersign-demo-'));
  const browser = start(options, profile);
  const ended = once(browser, 'close').then(() => removeProfile(profile));
  let page: string | undefined;
  const firstPage = Promise.withResolvers<string>();

  const pipe: DevtoolsPipe = openDevtoolsPipe(browser, ({ method, params }) => {
    if (method === 'Target.attachedToTarget') {
      const { sessionId, targetInfo } = z.parse(attachedToTarget, params);
      if (targetInfo.type !== 'page') return;
      page = sessionId;
      pipe.send('Network.enable', {}, sessionId).then(
        () => firstPage.resolve(sessionId),
        () => undefined,
      );
    } else if (method === 'Network.requestWillBeSent') {
      const { request } = z.parse(requestWillBeSent, params);
      const url = new URL(request.url);
      options.onRequest({ method: request.method, url, body: request.postData ?? '' });
    }
  });
  const close = async () => {
    browser.kill('SIGTERM');
    const timer = setTimeout(() => browser.kill('SIGKILL'), endMs);
    await ended;
    clearTimeout(timer);
  };
  try {
    await new Promise<void>((resolve, reject) => {
      browser.once('spawn', () => resolve());
      browser.once('error', reject);
    });
    if (options.managed !== undefined) {
      const { extension, launcher } = options.managed;
      // First the host: the extension asks it at once on which pages to listen.
      const manifests = join(profile, 'NativeMessagingHosts');
      mkdirSync(manifests, { recursive: true });
      writeHostManifest(manifests, {
        launcherPath: launcher,
        extensionIds: [developmentExtensionId],
      });
      await pipe.send('Extensions.loadUnpacked', { path: extension });
    }
    await pipe.send('Target.setAutoAttach', {
      autoAttach: true,
      waitForDebuggerOnStart: false,
      flatten: true,
    });
    await Promise.race([firstPage.promise, ended]);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async open(url) {
      await pipe.send('Page.navigate', { url }, page);
    },
    async evaluate(expression) {
      const answer = await pipe.send(
        'Runtime.evaluate',
        { expression, awaitPromise: true, returnByValue: true },
        page,
      );
      return z.parse(evaluated, answer).result.value;
    },
    ended,
    close,
  };
}
