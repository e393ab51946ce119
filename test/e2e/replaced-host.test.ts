// A program of the user in the place of the native host, by a manifest in the browser's profile.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readEnrollment, writeHostManifest } from '@countersign/native-host';
import { nativeHostName } from '@countersign/protocol/native-messages';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Lie } from '../support/browser/lying-host.ts';
import { withManagedBrowser } from '../support/browser/managed-session.ts';
import { openExtensionPage, publishOtherExtension } from '../support/browser/other-extension.ts';
import { beginRelayedSignIn } from '../support/browser/phishing-relay.ts';
import { recordedDecision, signIn } from '../support/browser/sign-in-page.ts';
import { stateDirectoryOf, writeProgram } from '../support/device-host.ts';
import {
  impersonateIssuer,
  issueLookAlike,
  newKeyPair,
  parsed,
} from '../support/forge-certificate.ts';
import { frame, readFrames } from '../support/native-host.ts';

const world = inject('world');
const bakedProfile = inject('bakedProfile');
const other = publishOtherExtension(world.folders.scratch);
const folder = mkdtempSync(join(world.folders.scratch, 'replaced-host-'));
const lieFile = join(folder, 'lie.json');
const started = join(folder, 'started');
const profile = join(folder, 'profile');

const trusted = { outcome: 'trusted', reasonCode: 'trusted_device' };

beforeAll(() => {
  const program = fileURLToPath(new URL('../support/browser/lying-host.ts', import.meta.url));
  const launcherPath = writeProgram(
    folder,
    'lying-host',
    `touch '${started}'\nexec '${process.execPath}' '${program}' '${lieFile}'`,
  );
  cpSync(bakedProfile, profile, { recursive: true });
  writeHostManifest(join(profile, 'NativeMessagingHosts'), {
    launcherPath,
    extensionIds: [world.extension.id, other.id],
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));

const tell = (lie: Lie) => writeFileSync(lieFile, JSON.stringify(lie));

/** What the real host answers to a challenge of somebody else's sign-in. */
async function overheardResponse(): Promise<string> {
  const { challenge } = await beginRelayedSignIn(world);
  const message = { version: 1, id: '1', type: 'attest', challenge, origin: world.ssoOrigin };
  const { stdout } = spawnSync(world.enrolledHost.launcher, [], {
    input: frame(message),
    timeout: 20_000,
  });
  const [answer] = readFrames(stdout);
  if (answer?.type !== 'attest') throw new Error(`the host answered ${answer?.type}`);
  return answer.response;
}

describe("#48 a host in the user's own folder", () => {
  test('is never started under the policy, and the real one is', async () => {
    await withManagedBrowser(world, { profile, otherExtensions: [other] }, async (browser) => {
      expect(await signIn(await browser.newPage(), world.ssoOrigin)).toMatchObject(trusted);
      const page = await openExtensionPage(browser, other);
      const message = JSON.stringify({ version: 1, id: '1', type: 'status' });
      const called = await page.evaluate(
        `chrome.runtime.sendNativeMessage('${nativeHostName}', ${message}).then(
          () => 'answered', (error) => error.message)`,
      );
      expect(called).toBe('Access to the specified native messaging host is forbidden.');
    });
    expect(existsSync(started)).toBe(false);
  });

  test('is started without the policy, and nothing that it answers is trusted', async () => {
    const enrollment = readEnrollment(stateDirectoryOf(world.enrolledHost));
    if (!enrollment.ok || enrollment.value === undefined) throw new Error('not enrolled');
    const { leafCertificate, issuerCertificate } = enrollment.value;
    const { publicKey, privateKey } = newKeyPair();
    const lookAlike = await issueLookAlike(
      parsed(leafCertificate),
      impersonateIssuer(parsed(issuerCertificate)),
      { publicKey },
    );
    const private_key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64');
    const lies: readonly (readonly [string, Lie])[] = [
      ['certificate_unknown', { certificate: base64(lookAlike), private_key }],
      ['response_signature_invalid', { certificate: base64(leafCertificate), private_key }],
      ['response_wrong_challenge', { response: await overheardResponse() }],
    ];
    await withManagedBrowser(world, { profile, userLevelHosts: true }, async (browser) => {
      for (const [reasonCode, lie] of lies) {
        tell(lie);
        await browser.context.clearCookies();
        const shown = await signIn(await browser.newPage(), world.ssoOrigin);
        expect(shown).toMatchObject({ outcome: 'not-trusted', reasonCode });
        expect(await recordedDecision(world, shown.decisionId)).toMatchObject({
          decision: false,
          device_trusted: false,
        });
      }
    });
    expect(existsSync(started)).toBe(true);
  });
});
