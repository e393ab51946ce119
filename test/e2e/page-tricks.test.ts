// What the script of a page can try: to be mistaken for another page, to disturb the content script, to learn who is there.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { builtExtension } from '../support/browser/build-extension.ts';
import { readFolder } from '../support/browser/crx3-package.ts';
import { launchChromium, type ManagedBrowser } from '../support/browser/managed-chromium.ts';
import {
  prepareMachine,
  useLauncher,
  withManagedBrowser,
} from '../support/browser/managed-session.ts';
import { beginRelayedSignIn } from '../support/browser/phishing-relay.ts';
import { writeProgram } from '../support/device-host.ts';

const world = inject('world');
const profile = inject('bakedProfile');
const { ssoOrigin, attacker } = world;
const { folder: hostFolder, launcher } = world.enrolledHost;

const received = { type: 'received', version: 1 };
const refused = { type: 'answer', ok: false, code: 'origin_not_allowed' };

let browser: ManagedBrowser;
beforeAll(async () => {
  prepareMachine(world, {});
  browser = await launchChromium(world.folders.scratch, profile);
});
afterAll(() => browser?.close());

async function pageAt(url: string, of = browser): Promise<Page> {
  const page = await of.newPage();
  await page.goto(url);
  return page;
}

const askDevice = (page: Page, challenge: string): Promise<unknown> =>
  page.evaluate(`askDevice(${JSON.stringify(challenge)})`);

/**
 * Has the host write down what it is told; gives the origins that challenges came from, as the extension said, once there
 * are so many.
 */
async function originsHeardWhile(name: string, least: number, work: () => Promise<void>) {
  const log = join(hostFolder, `${name}.log`);
  const script = `tee -a '${log}' | '${launcher}' "$@"`;
  useLauncher(world, writeProgram(hostFolder, name, script));
  const heard = () => {
    const told = existsSync(log) ? readFileSync(log, 'latin1') : '';
    return [...told.matchAll(/"origin":"([^"]*)"/g)].map(([, origin]) => origin);
  };
  try {
    await work();
    // Started for a page that has gone, it may hear only now.
    await expect.poll(() => heard().length, { timeout: 20_000 }).toBeGreaterThanOrEqual(least);
  } finally {
    useLauncher(world, launcher);
  }
  return heard();
}

describe('a page that says it is another one', () => {
  test('#5 in its message, is asked for by the origin that the browser knows', async () => {
    const heard = await originsHeardWhile('hears-lies', 1, async () => {
      const { challenge } = await beginRelayedSignIn(world);
      const page = await pageAt(attacker.inPolicyAndHost);
      const lies = { origin: ssoOrigin, sender: { origin: ssoOrigin, frameId: 0 }, url: ssoOrigin };
      const replies = await page.evaluate(`new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        const replies = [];
        port1.onmessage = ({ data }) => replies.push(data) === 2 && resolve(replies);
        const request = { type: 'countersign.attest', version: 1, challenge: '${challenge}' };
        history.replaceState({}, '', '/?origin=${ssoOrigin}');
        document.title = '${ssoOrigin}';
        postMessage({ ...request, ...${JSON.stringify(lies)} }, '*', [port2]);
      })`);
      expect(replies).toEqual([received, refused]);
    });
    expect(heard).toEqual([attacker.inPolicyAndHost]);
  });

  test('#5 in frames without an address of their own, is silent', async () => {
    const { challenge } = await beginRelayedSignIn(world);
    const page = await pageAt(attacker.inPolicyAndHost);
    const replies = await page.evaluate(`new Promise((resolve) => {
      const replies = {};
      addEventListener('message', ({ data }) => {
        if (data.kind === undefined) return;
        replies[data.kind] = data.replies;
        if (Object.keys(replies).length === 5) resolve(replies);
      });
      const show = {
        'about:blank': (frame, page) => frame.contentDocument.write(page),
        'javascript:': (frame, page) => frame.contentDocument.write(page),
        srcdoc: (frame, page) => { frame.srcdoc = page },
        'data:': (frame, page) => { frame.src = 'data:text/html,' + encodeURIComponent(page) },
        'blob:': (frame, page) => {
          frame.src = URL.createObjectURL(new Blob([page], { type: 'text/html' }));
        },
      };
      for (const [kind, put] of Object.entries(show)) {
        const frame = document.createElement('iframe');
        if (kind === 'javascript:') frame.src = 'javascript:0';
        document.body.append(frame);
        put(frame, '<script>const askDevice = ' + askDevice + ';' +
          'Promise.all([window, parent].map((target) => askDevice("${challenge}", target))).then((replies) =>' +
          'parent.postMessage({ kind: "' + kind + '", replies: replies.flat() }, "*"))</' + 'script>');
      }
    })`);
    expect(replies).toEqual({
      'about:blank': [],
      'javascript:': [],
      srcdoc: [],
      'data:': [],
      'blob:': [],
    });
    expect(await askDevice(page, challenge)).toEqual([received, refused]);
  });

  test('#55 and goes there in the moment in which it asks, is still itself', async () => {
    const rounds = 6;
    const heard = await originsHeardWhile('hears-races', rounds / 2, async () => {
      const { challenge } = await beginRelayedSignIn(world);
      const page = await browser.newPage();
      for (let round = 0; round < rounds; round++) {
        await page.goto(attacker.inPolicyAndHost);
        await page.evaluate(`void askDevice(${JSON.stringify(challenge)});
          setTimeout(() => { location.href = ${JSON.stringify(ssoOrigin)} }, ${round})`);
        await page.waitForURL(`${ssoOrigin}/**`);
        expect(await page.evaluate('typeof askDevice')).toBe('undefined');
      }
    });
    expect(new Set(heard)).toEqual(new Set([attacker.inPolicyAndHost]));
  });
});

describe('#55 an answer that comes when another page is there', () => {
  test('reaches nobody but the document that asked', async () => {
    useLauncher(world, writeProgram(hostFolder, 'late', `sleep 1\nexec '${launcher}' "$@"`));
    const { challenge } = await beginRelayedSignIn(world);
    const page = await pageAt(ssoOrigin);
    /** Asks, and waits for as many replies. */
    const ask = (count: number) => `new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      const replies = [];
      port1.onmessage = ({ data }) => replies.push(data) === ${count} && resolve(replies);
      postMessage({ type: 'countersign.attest', version: 1, challenge: '${challenge}' }, '*', [port2]);
    })`;
    expect(await page.evaluate(ask(1))).toEqual([received]);
    await page.goto(attacker.inPolicyAndHost);
    const heard = await page.evaluate(`new Promise((resolve) => {
      const heard = [];
      for (const type of ['message', 'messageerror']) {
        addEventListener(type, ({ data }) => heard.push(data ?? type));
      }
      setTimeout(() => resolve(heard), 2000);
    })`);
    expect(heard).toEqual([]);
    // The same question gets its answer where nobody leaves.
    await page.goto(ssoOrigin);
    expect(await page.evaluate(ask(2))).toMatchObject([received, { type: 'answer', ok: true }]);
    useLauncher(world, launcher);
  });
});

describe('#55 a page that has changed what scripts rely on', () => {
  test('gets what it would have got, and the content script is none the wiser', async () => {
    const { challenge } = await beginRelayedSignIn(world);
    const page = await pageAt(attacker.inPolicyAndHost);
    await page.evaluate(`{
      document.body.innerHTML = '<form name=chrome><input name=runtime><input name=sendMessage></form>' +
        '<a id=top></a><a id=browser></a><form name=addEventListener></form>';
      window.stolen = [];
      const steal = (name, value) => Object.defineProperty(Object.prototype, name, { get() {
        stolen.push(name);
        return value;
      } });
      for (const [name, value] of Object.entries({
        ok: true, response: 'a.b.c.d.e', origin: '${ssoOrigin}', frameId: 0, runtime: {}, sendMessage: () => 1,
      })) steal(name, value);
      JSON.stringify = JSON.parse = () => stolen.push('JSON');
      MessagePort.prototype.postMessage = () => stolen.push('postMessage');
      MessagePort.prototype.close = () => stolen.push('close');
      window.chrome = { runtime: { sendMessage: () => stolen.push('sendMessage') } };
      const { port1, port2 } = new MessageChannel();
      window.got = [];
      port1.onmessage = ({ data }) => got.push(Object.entries(data).join());
      stolen.length = 0;
      postMessage({ type: 'countersign.attest', version: 1, challenge: '${challenge}' }, '*', [port2]);
    }`);
    await page.waitForFunction('got.length === 2');
    expect(await page.evaluate('got')).toEqual(
      [received, refused].map((reply) => Object.entries(reply).join()),
    );
    expect(await page.evaluate('stolen')).toEqual([]);
  });
});

describe('#56 a page that nobody has configured', () => {
  const files = [...Object.keys(readFolder(builtExtension)), '', 'is-not-there'];
  const addresses = files.map((file) => `chrome-extension://${world.extension.id}/${file}`);

  /** Everything that a script can see of its surroundings, and what comes of touching the extension's files. */
  async function observe(of: ManagedBrowser) {
    const { challenge } = await beginRelayedSignIn(world);
    const page = await pageAt(attacker.unknown, of);
    const replies = await askDevice(page, challenge);
    const seen: unknown = await page.evaluate(`(async () => {
      const load = (tag, property, address) => new Promise((resolve) => {
        const element = document.createElement(tag);
        element.onload = () => resolve('loaded');
        element.onerror = () => resolve('failed');
        if (tag === 'link') element.rel = 'stylesheet';
        element[property] = address;
        document.head.append(element);
      });
      const touch = async (address) => [address, await Promise.all([
        fetch(address).then(() => 'fetched', (error) => error.message),
        load('img', 'src', address),
        load('script', 'src', address),
        load('link', 'href', address),
      ])];
      const names = (object) => Object.getOwnPropertyNames(object).sort();
      return {
        touched: await Promise.all(${JSON.stringify(addresses)}.map(touch)),
        window: names(window), document: names(document), chrome: names(window.chrome ?? {}),
        runtime: typeof window.chrome?.runtime,
        html: document.documentElement.outerHTML,
        sheets: document.styleSheets.length,
      };
    })()`);
    return { replies, seen };
  }

  test('sees and hears the same with the extension and without', async () => {
    const withExtension = await observe(browser);
    expect(withExtension).toMatchObject({ replies: [], seen: { runtime: 'undefined' } });
    expect(JSON.stringify(withExtension)).not.toMatch(/"(loaded|fetched)"/);
    const without = await withManagedBrowser(world, { withoutExtension: true }, observe);
    expect(without).toEqual(withExtension);
  });
});
