import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import {
  type PublishedFirefoxExtension,
  packFirefoxExtension,
  publishFirefoxExtension,
} from '../support/browser/firefox-package.ts';
import {
  personOf,
  registerFirefoxHost,
  removeFirefoxHost,
  signInWithFirefox,
  startFirefox,
  waitForBridge,
  withFirefox,
} from '../support/browser/firefox-session.ts';
import { type ManagedFirefox, makeFirefoxHome } from '../support/browser/managed-firefox.ts';
import { originsInPolicy, patternsOf } from '../support/browser/managed-session.ts';
import { beginRelayedSignIn } from '../support/browser/phishing-relay.ts';
import { recordedDecision } from '../support/browser/sign-in-page.ts';
import {
  installDeviceHost,
  stateDirectoryOf,
  writeDyingProgram,
  writeProgram,
} from '../support/device-host.ts';

const world = inject('world');
const { ssoOrigin, attacker, enrolledHost } = world;
const system = { scope: 'system' } as const;

let extension: PublishedFirefoxExtension;
beforeAll(async () => {
  extension = await publishFirefoxExtension(join(world.folders.scratch, 'firefox-extension'));
});

/** The extension as the browser itself knows it. */
const policyInBrowser = () => `WebExtensionPolicy.getByID(${JSON.stringify(extension.id)})`;

const trusted = { outcome: 'trusted', reasonCode: 'trusted_device' };
const unanswered = { outcome: 'not-trusted', reasonCode: 'extension_not_installed' };

describe('Firefox under policy, with the host of the machine,', () => {
  let firefox: ManagedFirefox;
  beforeAll(async () => {
    const home = makeFirefoxHome(world.folders.scratch);
    firefox = await startFirefox({ world, extension, home });
    await waitForBridge(firefox, extension, patternsOf(originsInPolicy(world)));
  });
  afterAll(() => firefox.close());
  beforeEach(() => void registerFirefoxHost(system, extension, enrolledHost));
  afterAll(() => removeFirefoxHost(system));

  test('signs in, and the broker records which device it was', async () => {
    const shown = await signInWithFirefox(firefox, ssoOrigin);
    expect(shown).toMatchObject(trusted);
    const record = await recordedDecision(world, shown.decisionId);
    expect(record).toMatchObject({
      decision: true,
      reason: 'trusted_device',
      subject: 'ada',
      device_trusted: true,
      response: { origin: ssoOrigin, development: false },
    });
    expect(record.device_id).not.toBe('');
  });

  test('wakes its background for a sign-in', async () => {
    const stop = 'extension.terminateBackground({ ignoreDevToolsAttached: true })';
    const stateAfterStop = async () => {
      await firefox.evaluateInBrowser(`${policyInBrowser()}.${stop}`);
      return firefox.evaluateInBrowser(`${policyInBrowser()}.extension.backgroundState`);
    };
    // While it asks the host what its button should show, it does not let itself be stopped.
    await expect.poll(stateAfterStop, { timeout: 10_000, interval: 500 }).toBe('stopped');
    expect(await signInWithFirefox(firefox, ssoOrigin)).toMatchObject(trusted);
  });

  test('shows in the popup which pages are set up, and where', async () => {
    const address = await firefox.evaluateInBrowser(`${policyInBrowser()}.getURL('popup.html')`);
    await firefox.goto(String(address));
    // One origin is on the list of the policy alone.
    await firefox.textOf('body[data-state=attention]');
    expect(await firefox.evaluate('document.body.textContent')).toContain(attacker.inPolicy);
  });

  describe('meets a page that relays the challenge of somebody else', () => {
    const received = { type: 'received', version: 1 };

    /** Everything that the page got back; `target` is a window, as the page names it. */
    const askDevice = (challenge: string, target = 'window') =>
      firefox.evaluate(`window.askDevice(${JSON.stringify(challenge)}, ${target})`);

    test('#4 #56 and is silent, or the host refuses, or the challenge does not fit', async () => {
      const { challenge } = await beginRelayedSignIn(world);
      await firefox.goto(attacker.unknown);
      expect(await askDevice(challenge)).toEqual([]);
      for (const origin of [attacker.inPolicy, attacker.inPolicyAndHost]) {
        await firefox.goto(origin);
        expect(await askDevice(challenge), origin).toEqual([
          received,
          { type: 'answer', ok: false, code: 'origin_not_allowed' },
        ]);
      }
    });

    // Firefox does not say whether a document is the one on the screen: frame and origin alone must do.
    test.each(['', '&sandbox'])('#5 in a frame, and is silent%s', async (sandbox) => {
      const { challenge } = await beginRelayedSignIn(world);
      const framed = encodeURIComponent(attacker.inPolicyAndHost);
      await firefox.goto(`${attacker.inPolicy}/?frame=${framed}${sandbox}`);
      await firefox.inFrame('iframe', async () => {
        for (const target of ['window', 'parent']) {
          expect(await askDevice(challenge, target), target).toEqual([]);
        }
      });
      // The page above is listened to; had it passed its own message on, it would have been answered.
      expect(await askDevice(challenge)).toMatchObject([received, { ok: false }]);
    });
  });

  test('#47 is not trusted when it gets no proof from the host, each time with its reason', async () => {
    const { rootOwned } = world.folders;
    const origins = [ssoOrigin];
    const notEnrolled = await installDeviceHost(rootOwned, { origins });
    const forOtherPages = await installDeviceHost(rootOwned, {
      origins: [attacker.inPolicyAndHost],
      state_directory: stateDirectoryOf(enrolledHost),
    });
    const { folder } = enrolledHost;
    const hosts = [
      ['not_enrolled', notEnrolled],
      ['origin_not_allowed', forOtherPages],
      ['host_not_installed', 'missing'],
      ['host_not_installed', { ...enrolledHost, extensionId: 'other@example.com' }],
      ['host_exited', { launcher: join(folder, 'is-not-there') }],
      ['host_exited', { launcher: writeDyingProgram(folder) }],
      // It stays for a while: of one that ends at once Firefox may hear the end first.
      [
        'host_answer_malformed',
        { launcher: writeProgram(folder, 'babbles', 'echo hello there; sleep 3') },
      ],
    ] as const;
    for (const [code, host] of hosts) {
      if (host === 'missing') removeFirefoxHost(system);
      else registerFirefoxHost(system, extension, host);
      const shown = await signInWithFirefox(firefox, ssoOrigin);
      expect.soft(shown, code).toMatchObject({ outcome: 'not-trusted', reasonCode: code });
      expect(await recordedDecision(world, shown.decisionId)).toMatchObject({
        decision: false,
        reason: code,
        subject: 'ada',
        device_trusted: false,
        device_id: '',
      });
    }
  });
});

describe('Firefox under policy, with a host of the person,', () => {
  test('tells it who starts it, signs in at once after a restart, and follows a changed policy', async () => {
    const home = makeFirefoxHome(world.folders.scratch);
    const told = join(home.home, 'arguments');
    const script = `printf '%s\\n' "$@" >'${told}'\nexec '${enrolledHost.launcher}' "$@"`;
    const launcher = writeProgram(home.home, 'writes-arguments', script);
    const manifest = registerFirefoxHost(personOf(home), extension, { launcher });
    await withFirefox({ world, extension, home }, async (firefox) => {
      await waitForBridge(firefox, extension, patternsOf(originsInPolicy(world)));
      expect(await signInWithFirefox(firefox, ssoOrigin)).toMatchObject(trusted);
    });
    expect(readFileSync(told, 'utf8')).toBe(`${manifest}\n${extension.id}\n`);

    // What was registered in the last run holds from the first page of this one.
    await withFirefox({ world, extension, home }, async (firefox) => {
      expect(await signInWithFirefox(firefox, ssoOrigin)).toMatchObject(trusted);
    });

    const managedStorage = { origins: [attacker.inPolicy] };
    await withFirefox({ world, extension, home, managedStorage }, async (firefox) => {
      await waitForBridge(firefox, extension, patternsOf(managedStorage.origins));
      const shown = await signInWithFirefox(firefox, ssoOrigin);
      expect(shown).toMatchObject(unanswered);
      expect(await recordedDecision(world, shown.decisionId)).toMatchObject({
        decision: false,
        device_trusted: false,
        device_id: '',
      });
    });
  });

  // Firefox forgets registered scripts when an extension gets a new version.
  test('signs in after policy has brought a newer version of the extension', async () => {
    const home = makeFirefoxHome(world.folders.scratch);
    registerFirefoxHost(personOf(home), extension, enrolledHost);
    const patterns = patternsOf(originsInPolicy(world));
    await withFirefox({ world, extension, home }, (firefox) =>
      waitForBridge(firefox, extension, patterns),
    );
    const newer = packFirefoxExtension(join(world.folders.scratch, 'firefox-newer'), '99.0');
    await withFirefox({ world, extension: newer, home }, async (firefox) => {
      const version = () => firefox.evaluateInBrowser(`${policyInBrowser()}?.extension.version`);
      await expect.poll(version, { timeout: 20_000 }).toBe('99.0');
      await waitForBridge(firefox, newer, patterns);
      expect(await signInWithFirefox(firefox, ssoOrigin)).toMatchObject(trusted);
    });
  });

  test('listens where the host does when policy names no pages, until a person takes that away', async () => {
    const home = makeFirefoxHome(world.folders.scratch);
    registerFirefoxHost(personOf(home), extension, enrolledHost);
    await withFirefox({ world, extension, home, managedStorage: 'none' }, async (firefox) => {
      const patterns = patternsOf([ssoOrigin, attacker.inPolicyAndHost]);
      await waitForBridge(firefox, extension, patterns);
      expect(await signInWithFirefox(firefox, ssoOrigin)).toMatchObject(trusted);

      // The switches of about:addons. Firefox leaves them to the person, also for what policy has installed.
      await firefox.evaluateInBrowser(`ChromeUtils
        .importESModule('resource://gre/modules/ExtensionPermissions.sys.mjs').ExtensionPermissions
        .remove(${JSON.stringify(extension.id)}, {
          permissions: [], data_collection: [],
          origins: ['https://*/*', 'http://localhost/*', 'http://127.0.0.1/*'],
        }, ${policyInBrowser()}.extension).then(() => true)`);
      expect(await signInWithFirefox(firefox, ssoOrigin)).toMatchObject(unanswered);

      const address = await firefox.evaluateInBrowser(`${policyInBrowser()}.getURL('popup.html')`);
      await firefox.goto(String(address));
      await firefox.textOf('body[data-state=not_ready]');
      expect(await firefox.evaluate('document.body.textContent')).toContain('page_access_missing');
    });
  });
});
