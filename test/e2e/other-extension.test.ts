// Another extension in the same browser, with every permission it could wish for.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nativeHostName } from '@countersign/protocol/native-messages';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { launchChromium, type ManagedBrowser } from '../support/browser/managed-chromium.ts';
import { prepareMachine } from '../support/browser/managed-session.ts';
import {
  openExtensionPage,
  otherExtensionPing,
  publishOtherExtension,
} from '../support/browser/other-extension.ts';
import { beginRelayedSignIn } from '../support/browser/phishing-relay.ts';
import { recordedDecision, signIn } from '../support/browser/sign-in-page.ts';
import { writeProgram } from '../support/device-host.ts';

const world = inject('world');
const other = publishOtherExtension(world.folders.scratch);
const { id } = world.extension;
const { folder: hostFolder, launcher } = world.enrolledHost;
const starts = join(hostFolder, 'starts');

let browser: ManagedBrowser;
/** A page of the other extension, which can do all that the extension can. */
let page: Page;

beforeAll(async () => {
  const script = `printf '%s\\n' "$1" >>'${starts}'\nexec '${launcher}' "$@"`;
  prepareMachine(world, {
    otherExtensions: [other],
    launcher: writeProgram(hostFolder, 'records-starts', script),
  });
  browser = await launchChromium(world.folders.scratch, inject('bakedProfile'));
  page = await openExtensionPage(browser, other);
});
afterAll(() => browser?.close());

async function pageAt(url: string): Promise<Page> {
  const opened = await browser.newPage();
  await opened.goto(url);
  return opened;
}

async function signedIn() {
  await browser.context.clearCookies();
  const shown = await signIn(await browser.newPage(), world.ssoOrigin);
  return { ...shown, record: await recordedDecision(world, shown.decisionId) };
}

const trusted = { outcome: 'trusted', reasonCode: 'trusted_device' };

/** What comes of an expression that gives a promise: its value, or the words of its error. */
const outcomeOf = (from: Page, expression: string): Promise<unknown> =>
  from.evaluate(
    `Promise.resolve().then(() => ${expression}).then((value) => ({ value }), (error) => error.message)`,
  );

/** Opens a port and tells why it was closed, with everything that came out of it. */
const portOutcome = (connect: string, message: unknown) => `new Promise((resolve) => {
  const port = ${connect};
  const got = [];
  port.onMessage.addListener((each) => got.push(each));
  port.onDisconnect.addListener(() => resolve({ got, error: chrome.runtime.lastError?.message }));
  port.postMessage(${JSON.stringify(message)});
})`;

describe('#46 what another extension or a page says to the extension', () => {
  test('is heard by nobody, whichever way it comes', async () => {
    const { challenge } = await beginRelayedSignIn(world);
    const nobody = 'Could not establish connection. Receiving end does not exist.';
    const messages = [
      { type: 'attest', challenge },
      { type: 'synchronize' },
      { type: 'countersign.attest', version: 1, challenge },
    ];
    const listedPage = await pageAt(world.attacker.inPolicyAndHost);
    const send = (to: string, message: unknown) =>
      `chrome.runtime.sendMessage(${JSON.stringify(to)}, ${JSON.stringify(message)})`;
    // The way is open for pages of this site, to an extension that wants it.
    expect(await outcomeOf(listedPage, send(other.id, otherExtensionPing))).toEqual({
      value: otherExtensionPing.ping,
    });
    for (const from of [page, listedPage]) {
      for (const message of messages) {
        expect(await outcomeOf(from, send(id, message))).toBe(nobody);
        const connect = `chrome.runtime.connect(${JSON.stringify(id)})`;
        expect(await outcomeOf(from, portOutcome(connect, message))).toEqual({
          value: { got: [], error: nobody },
        });
      }
    }
  });
});

describe('#47 another extension that calls the host', () => {
  test('does not start it, and the extension does', async () => {
    const name = JSON.stringify(nativeHostName);
    const forbidden = 'Access to the specified native messaging host is forbidden.';
    const { challenge } = await beginRelayedSignIn(world);
    for (const message of [
      { version: 1, id: '1', type: 'status' },
      { version: 1, id: '1', type: 'attest', challenge, origin: world.ssoOrigin },
    ]) {
      const send = `chrome.runtime.sendNativeMessage(${name}, ${JSON.stringify(message)})`;
      expect(await outcomeOf(page, send)).toBe(forbidden);
      const connect = `chrome.runtime.connectNative(${name})`;
      expect(await outcomeOf(page, portOutcome(connect, message))).toEqual({
        value: { got: [], error: forbidden },
      });
    }
    expect(await signedIn()).toMatchObject(trusted);
    const callers = new Set(readFileSync(starts, 'utf8').trim().split('\n'));
    expect([...callers]).toEqual([`chrome-extension://${id}/`]);
  });
});

describe('#54 another extension that rewrites headers', () => {
  const updateRules = (update: object) =>
    page.evaluate(`chrome.declarativeNetRequest.updateSessionRules(${JSON.stringify(update)})`);
  afterEach(() => updateRules({ removeRuleIds: [1] }));

  /** Sets headers of every request for a challenge, and of its answer. */
  async function rewrite(request: Record<string, string>, answer?: Record<string, string>) {
    const changes = (headers: Record<string, string>) =>
      Object.entries(headers).map(([header, value]) => ({ header, operation: 'set', value }));
    const rule = {
      id: 1,
      action: {
        type: 'modifyHeaders',
        requestHeaders: changes(request),
        ...(answer === undefined ? {} : { responseHeaders: changes(answer) }),
      },
      condition: {
        urlFilter: `|${world.brokerUrl}/v1/challenges`,
        resourceTypes: ['xmlhttprequest'],
      },
    };
    await updateRules({ removeRuleIds: [1], addRules: [rule] });
  }

  test('gets an attacker a challenge, which the device does not answer for his page', async () => {
    const attacker = world.attacker.inPolicyAndHost;
    await rewrite({ Origin: world.ssoOrigin }, { 'Access-Control-Allow-Origin': attacker });
    const phishing = await pageAt(attacker);
    const body = { client_id: world.client.clientId, transaction: 'A'.repeat(43) };
    const challenge = await phishing.evaluate(`fetch('${world.brokerUrl}/v1/challenges', {
      method: 'POST', body: ${JSON.stringify(JSON.stringify(body))},
    }).then((response) => response.json()).then(({ challenge }) => challenge)`);
    expect(challenge).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(await phishing.evaluate(`askDevice(${JSON.stringify(challenge)})`)).toEqual([
      { type: 'received', version: 1 },
      { type: 'answer', ok: false, code: 'origin_not_allowed' },
    ]);
  });

  test('can keep a person from being trusted, and make nobody else of them', async () => {
    const undisturbed = await signedIn();
    expect(undisturbed).toMatchObject(trusted);

    for (const origin of [world.attacker.inPolicyAndHost, 'null']) {
      await rewrite({ Origin: origin });
      expect(await signedIn()).toMatchObject({
        outcome: 'not-trusted',
        record: { decision: false, device_trusted: false, device_id: '' },
      });
    }

    await rewrite({
      'Client-Cert': ':AAAA:',
      'X-Forwarded-For': '192.0.2.1',
      'CF-Connecting-IP': '192.0.2.1',
      'MF-CF-Blob': '{"tlsClientAuth":{"certVerified":"SUCCESS","certPresented":"1"}}',
      Authorization: 'Bearer AAAA',
      Cookie: 'session=AAAA',
    });
    const decorated = await signedIn();
    expect(decorated).toMatchObject(trusted);
    expect(decorated.record.device_id).toBe(undisturbed.record.device_id);
  });
});
