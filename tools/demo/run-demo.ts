import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { writeLauncher } from '@countersign/native-host';
import type { DemoDevice } from '../start/demo-device.ts';
import type { DemoSettings } from '../start/demo-settings.ts';
import { type Report, StepError } from '../start/report.ts';
import { type RunningSample, type Started, startSample } from '../start/start-sample.ts';
import { type DemoBrowser, startDemoBrowser } from './demo-browser.ts';
import { explainDecision, explainRequests } from './explain-sign-in.ts';
import type { FoundBrowser } from './find-browser.ts';

export type BrowserDemoSettings = DemoSettings & {
  readonly browser: FoundBrowser;
  /** Without windows: signs in by itself, once in each browser. */
  readonly isHeadless: boolean;
};

const extensionFolder = fileURLToPath(new URL('../../extension', import.meta.url));
const managedWindow = 'Window with the extension';
const otherWindow = 'Window without it';

async function buildExtension(report: Report): Promise<string> {
  const wxt = join(extensionFolder, 'node_modules', '.bin', 'wxt');
  try {
    await promisify(execFile)(wxt, ['build'], { cwd: extensionFolder, timeout: 120_000 });
  } catch (error) {
    const { stderr }: { stderr?: unknown } = Object(error);
    const why = typeof stderr === 'string' ? stderr.trim().split('\n').at(-1) : undefined;
    throw new StepError(
      `extension: ${why ?? String(error)}`,
      'Repair the source it names and start again.',
      { cause: error },
    );
  }
  report.row('extension', 'built');
  return join(extensionFolder, '.output', 'chrome-mv3');
}

/** The program that the browser starts; it lies beside the device's configuration. */
function installHost({ host }: DemoDevice): string {
  const launcher = `${host.configurationPath}.launcher`;
  const { program: programPath, configurationPath } = host;
  writeLauncher(launcher, { nodePath: process.execPath, programPath, configurationPath });
  return launcher;
}

async function startBrowser(
  options: Parameters<typeof startDemoBrowser>[0],
  started: Started,
): Promise<DemoBrowser> {
  try {
    const browser = await startDemoBrowser(options);
    started.push(browser.close);
    return browser;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StepError(
      `browser: ${options.executable} could not be used: ${why}`,
      "A company's policy may forbid extensions from outside its store. Try another browser with --browser PATH.",
      { cause: error },
    );
  }
}

/** Passkeys work for host names alone, and the extension may listen on both. */
const siteUrlOf = ({ samplePort }: DemoSettings) => `http://localhost:${samplePort}/`;

/**
 * Starts everything, and two browsers with throw-away profiles on the sign-in page: one that is managed, one that is
 * not.
 *
 * @returns when the person has closed both windows; without windows, after a sign-in in each. The value says whether
 *   the browsers showed what they should, where nobody was there to see it
 */
export async function runBrowserDemo(
  settings: BrowserDemoSettings,
  report: Report,
  log: (line: string) => void,
  started: Started,
): Promise<boolean> {
  let explained: Promise<unknown> = Promise.resolve();
  let sample: RunningSample | undefined;
  const logSite = (line: string) => {
    explained = explained.then(async () => {
      const isDecision =
        sample !== undefined && (await explainDecision(report, sample.broker, line));
      if (!isDecision) log(`sample site: ${line}`);
    });
  };
  report.row('browser', `${settings.browser.name}, ${settings.browser.path}`);
  const extension = await buildExtension(report);
  sample = await startSample(settings, report, log, started, logSite);
  const launcher = installHost(sample.device);

  const siteUrl = siteUrlOf(settings);
  const common = { executable: settings.browser.path, isHeadless: settings.isHeadless };
  const managed = await startBrowser(
    {
      ...common,
      left: 0,
      managed: { extension, launcher },
      onRequest: explainRequests(report, managedWindow, siteUrl),
    },
    started,
  );
  const other = await startBrowser(
    { ...common, left: 740, onRequest: explainRequests(report, otherWindow, siteUrl) },
    started,
  );
  report.row(
    'windows',
    'left: with the extension, and with a native host that only this profile knows',
    'right: a browser as any stranger has it',
  );
  const settle = () => explained.catch(() => undefined);
  if (settings.isHeadless) return await signInWithoutWindows(managed, other, siteUrl, settle);

  report.title('Sign in, in both windows: user ada, password countersign-demo');
  report.note('Close both windows, or press Ctrl-C, to end it. Nothing of the profiles stays.');
  for (const browser of [managed, other]) await browser.open(siteUrl);
  await Promise.all([managed.ended, other.ended]);
  await settle();
  return true;
}

async function signInWithoutWindows(
  managed: DemoBrowser,
  other: DemoBrowser,
  siteUrl: string,
  settle: () => Promise<unknown>,
): Promise<boolean> {
  const first = await signInByItself(managed, siteUrl);
  await settle();
  const second = await signInByItself(other, siteUrl);
  await settle();
  return first === 'trusted_device' && second === 'extension_not_installed';
}

const waitMs = 20_000;

async function waitFor<Value>(
  read: () => Promise<Value | undefined>,
  what: string,
): Promise<Value> {
  const deadline = performance.now() + waitMs;
  while (performance.now() < deadline) {
    const value = await read();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new StepError(`browser: ${what} did not come`, 'Start it again without --headless to see.');
}

/** Fills the form in as a person does. @returns the reason code that the site shows */
async function signInByItself(browser: DemoBrowser, siteUrl: string): Promise<string> {
  // The extension learns from its host on which pages to listen, a moment after it was loaded.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  await browser.open(siteUrl);
  await waitFor(
    async () =>
      (await browser.evaluate(
        `document.readyState === 'complete' && document.querySelector('#password') !== null`,
      )) === true || undefined,
    'the sign-in page',
  );
  await browser.evaluate(`document.querySelector('#username').value = 'ada';
    document.querySelector('#password').value = 'countersign-demo';
    document.querySelector('form button').click();`);
  return await waitFor(async () => {
    const code = await browser
      .evaluate(`document.querySelector('[data-testid=reason-code]')?.textContent`)
      .catch(() => undefined);
    return typeof code === 'string' ? code : undefined;
  }, 'the decision');
}
