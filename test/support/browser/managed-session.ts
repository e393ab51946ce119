import { installHostManifest, removeHostManifest, writeBrowserPolicy } from './browser-policy.ts';
import type { PublishedExtension } from './crx3-package.ts';
import { launchChromium, type ManagedBrowser, waitForRegistration } from './managed-chromium.ts';
import type { SignInWorld } from './sign-in-world.ts';

export type SessionOptions = {
  /** A profile to start from a copy of; a browser that was never started before when left out. */
  readonly profile?: string;
  /** By default the sign-in site, and the attacker's sites that got into the policy by mistake. */
  readonly managedStorage?: Record<string, unknown> | 'none';
  /** Default 1, so that tests may look into the extension. */
  readonly developerTools?: 0 | 1;
  /** The program that the host manifest names. By default the enrolled host. */
  readonly launcher?: string | 'missing';
  /** Default true. */
  readonly hostAllowed?: boolean;
  /** An extension that is older is updated at once. */
  readonly minimumVersion?: string;
  /** No extension at all. */
  readonly withoutExtension?: true;
  /** Installed as well, as if somebody had found a way. */
  readonly otherExtensions?: readonly PublishedExtension[];
  /** Host manifests in the profile count too, which the company's policy forbids. */
  readonly userLevelHosts?: true;
  /** The user's home folder, with a certificate store in it. */
  readonly home?: string;
  /** Policy has the browser present its device certificate at the mTLS URL. */
  readonly selectCertificate?: true;
};

/** Sets policy and host, runs the browser, and ends it whatever happens. */
export async function withManagedBrowser<Result>(
  world: SignInWorld,
  options: SessionOptions,
  use: (browser: ManagedBrowser) => Promise<Result>,
): Promise<Result> {
  prepareMachine(world, options);
  const browser = await launchChromium(world.folders.scratch, options.profile, options.home);
  try {
    return await use(browser);
  } finally {
    await browser.close();
  }
}

/** The first start of a browser, up to where the extension listens on the origins of its policy. */
export async function bakeProfile(world: SignInWorld): Promise<string> {
  prepareMachine(world, {});
  const browser = await launchChromium(world.folders.scratch);
  try {
    await waitForRegistration(browser, patternsOf(originsInPolicy(world)));
  } catch (error) {
    await browser.close();
    throw error;
  }
  return await browser.closeKeepingProfile();
}

export function originsInPolicy({ ssoOrigin, attacker }: SignInWorld): readonly string[] {
  return [ssoOrigin, attacker.inPolicy, attacker.inPolicyAndHost];
}

/** The match patterns that an extension registers for origins. */
export function patternsOf(origins: readonly string[]): readonly string[] {
  return origins.map((origin) => `https://${new URL(origin).hostname}/*`);
}

/** Makes `launcher` the host program; browsers look it up again for every message. */
export function useLauncher(world: SignInWorld, launcher: string | 'missing'): void {
  if (launcher === 'missing') removeHostManifest();
  else installHostManifest(launcher, world.extension.id);
}

/** Sets policy and host. A browser that runs takes notice of changes within seconds. */
export function prepareMachine(world: SignInWorld, options: SessionOptions): void {
  const { managedStorage = { origins: originsInPolicy(world) } } = options;
  writeBrowserPolicy({
    extension: world.extension,
    minimumVersion: options.minimumVersion,
    managedStorage: managedStorage === 'none' ? undefined : managedStorage,
    webAuthority: world.webAuthority,
    developerTools: options.developerTools ?? 1,
    hostAllowed: options.hostAllowed ?? true,
    withoutExtension: options.withoutExtension ?? false,
    otherExtensions: options.otherExtensions,
    userLevelHosts: options.userLevelHosts,
    selectCertificateAt: options.selectCertificate === true ? world.mtlsUrl : undefined,
  });
  useLauncher(world, options.launcher ?? world.enrolledHost.launcher);
}
