import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type HostManifestScope,
  hostManifestPlace,
  writeHostManifest,
} from '@countersign/native-host';
import { nativeHostName } from '@countersign/protocol/native-messages';
import type { PublishedFirefoxExtension } from './firefox-package.ts';
import { type FirefoxHome, launchFirefox, type ManagedFirefox } from './managed-firefox.ts';
import { originsInPolicy } from './managed-session.ts';
import { type SignInOutcome, samplePassword } from './sign-in-page.ts';
import type { SignInWorld } from './sign-in-world.ts';

export type FirefoxOptions = {
  readonly world: SignInWorld;
  readonly extension: PublishedFirefoxExtension;
  readonly home: FirefoxHome;
  /** By default the sign-in site, and the attacker's sites that got into the policy by mistake. */
  readonly managedStorage?: Record<string, unknown> | 'none';
};

/** Starts Firefox under policy. Who calls this closes it. */
export function startFirefox(options: FirefoxOptions): Promise<ManagedFirefox> {
  const { world, extension, home } = options;
  const { managedStorage = { origins: originsInPolicy(world) } } = options;
  const webAuthorityFile = join(world.folders.scratch, 'web-authority.pem');
  writeFileSync(webAuthorityFile, world.webAuthorityPem);
  return launchFirefox(home, {
    extension,
    managedStorage: managedStorage === 'none' ? undefined : managedStorage,
    webAuthorityFile,
  });
}

/** Runs Firefox under policy and ends it whatever happens. */
export async function withFirefox<Result>(
  options: FirefoxOptions,
  use: (firefox: ManagedFirefox) => Promise<Result>,
): Promise<Result> {
  const firefox = await startFirefox(options);
  try {
    return await use(firefox);
  } finally {
    await firefox.close();
  }
}

/**
 * Waits until the browser injects the extension's script on `patterns`, and says what it does instead when that takes
 * too long.
 */
export async function waitForBridge(
  firefox: ManagedFirefox,
  extension: PublishedFirefoxExtension,
  patterns: readonly string[],
): Promise<void> {
  const wanted = JSON.stringify([...patterns].sort());
  const registered = `JSON.stringify(Array.from(
    WebExtensionPolicy.getByID(${JSON.stringify(extension.id)})?.extension.registeredContentScripts.values() ?? [],
  ).flatMap(({ matches }) => matches).sort())`;
  const deadline = performance.now() + 20_000;
  let seen: unknown;
  while (performance.now() < deadline) {
    seen = await firefox.evaluateInBrowser(registered);
    if (seen === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the extension listens on ${seen}, not on ${wanted}`);
}

/** Signs in as a person does who was not signed in before: opens the page, fills the form in, reads what the site says. */
export async function signInWithFirefox(
  firefox: ManagedFirefox,
  origin: string,
  user = 'ada',
): Promise<SignInOutcome> {
  await firefox.evaluateInBrowser('Services.cookies.removeAll()');
  await firefox.goto(origin);
  await firefox.fill('#username', user);
  await firefox.fill('#password', samplePassword);
  await firefox.click('button[type=submit]');
  const shown = (name: string) => firefox.textOf(`[data-testid="${name}"]`);
  return {
    decisionId: await shown('decision-id'),
    outcome: await shown('outcome'),
    reasonCode: await shown('reason-code'),
  };
}

export type FirefoxHost = {
  readonly launcher: string;
  /** Who may start it; by default the extension. */
  readonly extensionId?: string;
};

/** Tells Firefox where the host program is. It looks for every message anew. */
export function registerFirefoxHost(
  of: HostManifestScope,
  extension: PublishedFirefoxExtension,
  { launcher, extensionId = extension.id }: FirefoxHost,
): string {
  const input = { launcherPath: launcher, extensionIds: [extensionId], form: 'firefox' } as const;
  return writeHostManifest(manifestFolder(of), input);
}

export function removeFirefoxHost(of: HostManifestScope): void {
  rmSync(join(manifestFolder(of), `${nativeHostName}.json`), { force: true });
}

/** The host of the person whose home it is. */
export const personOf = ({ home }: FirefoxHome) =>
  ({ scope: 'user', homeDirectory: home }) as const satisfies HostManifestScope;

function manifestFolder(of: HostManifestScope): string {
  const place = hostManifestPlace('firefox', of);
  if (place.kind !== 'folder') throw new Error('these tests run on Linux');
  return place.path;
}
