import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import {
  type FirefoxPolicy,
  makeFirefoxInstallation,
  writeFirefoxPolicy,
} from './firefox-installation.ts';
import { connectMarionette, type Marionette } from './marionette.ts';

/** One run of Firefox ESR under a policy, with one tab. Selectors are CSS and wait until they find something. */
export type ManagedFirefox = {
  goto(url: string): Promise<void>;
  fill(selector: string, text: string): Promise<void>;
  click(selector: string): Promise<void>;
  textOf(selector: string): Promise<string>;
  /** The value of an expression in the page, awaited. */
  evaluate(expression: string): Promise<unknown>;
  /** The value of an expression inside the browser itself, with all rights, awaited. */
  evaluateInBrowser(expression: string): Promise<unknown>;
  /** Does something inside a frame of the page. */
  inFrame<Result>(selector: string, use: () => Promise<Result>): Promise<Result>;
  /** A picture of the page, PNG. */
  screenshot(): Promise<Uint8Array>;
  /** Ends the browser; its home stays, for another run to start from. */
  close(): Promise<void>;
};

/** A person on a machine: home folder with profile, and an installation of the browser that policy is set for. */
export type FirefoxHome = { readonly home: string; readonly installation: string };

export function makeFirefoxHome(parentFolder: string): FirefoxHome {
  const folder = mkdtempSync(join(parentFolder, 'firefox-'));
  const [home, installation] = [join(folder, 'home'), join(folder, 'installation')];
  mkdirSync(join(home, 'profile'), { recursive: true });
  mkdirSync(join(home, 'tmp'));
  makeFirefoxInstallation(installation);
  return { home, installation };
}

export async function launchFirefox(
  { home, installation }: FirefoxHome,
  policy: FirefoxPolicy,
): Promise<ManagedFirefox> {
  writeFirefoxPolicy(installation, policy);
  const profile = join(home, 'profile');
  writeFileSync(join(profile, 'user.js'), userPreferences);
  const portFile = join(profile, 'MarionetteActivePort');
  rmSync(portFile, { force: true });
  const { child, output } = startProgram(join(installation, 'firefox-esr'), home, profile);
  const endWithUs = () => void child.kill('SIGKILL');
  process.once('exit', endWithUs);
  try {
    const marionette = await connectMarionette(await readPort(child, portFile, output));
    await marionette.call('WebDriver:NewSession', { capabilities: { alwaysMatch: {} } });
    await marionette.call('WebDriver:SetTimeouts', {
      implicit: 10_000,
      pageLoad: 20_000,
      script: 20_000,
    });
    return {
      ...pageOf(marionette),
      async close() {
        await marionette.call('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => undefined);
        marionette.disconnect();
        await endOf(child, 15_000);
        process.off('exit', endWithUs);
      },
    };
  } catch (error) {
    endWithUs();
    throw error;
  }
}

/** Names under .test are this machine; everything else is asked of a proxy that is not there. */
const userPreferences = Object.entries({
  'marionette.port': 0,
  'network.dns.localDomains': [
    'sso.corp.test',
    'mtls.corp.test',
    'sso.evil.test',
    'policy.evil.test',
    'host.evil.test',
  ].join(','),
  'network.proxy.type': 1,
  'network.proxy.http': '127.0.0.1',
  'network.proxy.http_port': 9,
  'network.proxy.ssl': '127.0.0.1',
  'network.proxy.ssl_port': 9,
  'network.proxy.no_proxies_on': '127.0.0.1, localhost, .test',
  // Otherwise it shows a person a choice, where it has a certificate that was asked for.
  'security.default_personal_cert': 'Select Automatically',
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
})
  .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
  .join('');

function startProgram(program: string, home: string, profile: string) {
  const flags = ['--headless', '--no-remote', '--marionette', '--remote-allow-system-access'];
  const child = spawn(program, [...flags, '--profile', profile], {
    cwd: home,
    env: { PATH: '/usr/bin:/bin', HOME: home, TMPDIR: join(home, 'tmp') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      text = (text + part).slice(-4000);
    });
  }
  return { child, output: () => text };
}

async function readPort(
  child: ChildProcess,
  portFile: string,
  output: () => string,
): Promise<number> {
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline && child.exitCode === null && child.signalCode === null) {
    const port = existsSync(portFile) ? Number(readFileSync(portFile, 'utf8')) : 0;
    if (port > 0) return port;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Firefox did not start:\n${output()}`);
}

/** Waits for a process to end by itself, and ends it when that takes too long. */
async function endOf(child: ChildProcess, timeoutMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  await new Promise((resolve) => child.once('exit', resolve));
  clearTimeout(timer);
}

const elementKey = 'element-6066-11e4-a52e-4f735466cecf';
const elementReference = z.object({ value: z.object({ [elementKey]: z.string() }) });
const returnedValue = z.object({ value: z.unknown() });

function pageOf({ call }: Marionette): Omit<ManagedFirefox, 'close'> {
  async function find(selector: string): Promise<string> {
    const found = await call('WebDriver:FindElement', { using: 'css selector', value: selector });
    return z.parse(elementReference, found).value[elementKey];
  }
  async function evaluate(expression: string): Promise<unknown> {
    const script = `const done = arguments[arguments.length - 1];
      (async () => ({ value: await (${expression}) }))()
        .then(done, (error) => done({ error: String(error) }));`;
    const { value } = z.parse(
      returnedValue,
      await call('WebDriver:ExecuteAsyncScript', { script, args: [] }),
    );
    const outcome = z.parse(
      z.object({ value: z.optional(z.unknown()), error: z.optional(z.string()) }),
      value,
    );
    if (outcome.error !== undefined) throw new Error(`${expression}: ${outcome.error}`);
    return outcome.value;
  }
  return {
    async goto(url) {
      await call('WebDriver:Navigate', { url });
    },
    async fill(selector, text) {
      await call('WebDriver:ElementSendKeys', { id: await find(selector), text });
    },
    async click(selector) {
      await call('WebDriver:ElementClick', { id: await find(selector) });
    },
    async textOf(selector) {
      const text = await call('WebDriver:GetElementText', { id: await find(selector) });
      return z.parse(z.object({ value: z.string() }), text).value;
    },
    evaluate,
    async evaluateInBrowser(expression) {
      await call('Marionette:SetContext', { value: 'chrome' });
      try {
        return await evaluate(expression);
      } finally {
        await call('Marionette:SetContext', { value: 'content' });
      }
    },
    async inFrame(selector, use) {
      await call('WebDriver:SwitchToFrame', { element: { [elementKey]: await find(selector) } });
      try {
        return await use();
      } finally {
        await call('WebDriver:SwitchToFrame', { element: null });
      }
    },
    async screenshot() {
      const taken = await call('WebDriver:TakeScreenshot', { full: true });
      return Buffer.from(z.parse(z.object({ value: z.string() }), taken).value, 'base64');
    },
  };
}
