import { describe, expect, it } from 'vitest';
import {
  createFakeBrowser,
  failingHost,
  fakeChallenge,
  fakeResponse,
  healthyHost,
} from './fake-browser.ts';
import { createNativeHost } from './native-host/native-host.ts';
import { startBackground } from './start-background.ts';

const sso = { origin: 'https://sso.corp.test', frameId: 0, documentLifecycle: 'active' };
const attest = { type: 'attest', challenge: fakeChallenge };

function startIn(browser = createFakeBrowser()) {
  const lines: string[] = [];
  const host = createNativeHost(browser.runtime, () => 'id');
  startBackground(browser, host, (line) => lines.push(line));
  return { browser, lines };
}

async function settle() {
  // Timers that are due count, too.
  for (let count = 0; count < 20; count++) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('the background', () => {
  it('answers a challenge of a configured page', async () => {
    const { browser } = startIn();
    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await settle();
    expect(await browser.deliver(attest, sso)).toEqual({
      type: 'answer',
      ok: true,
      response: fakeResponse,
    });
  });

  it('meets its policy late on a first installation', async () => {
    const browser = createFakeBrowser(failingHost('Specified native messaging host not found.'));
    const { lines } = startIn(browser);
    browser.install();
    await settle();
    expect(browser.scripts.size).toBe(0);
    expect(lines.join()).toContain('host_unavailable');
    expect(await browser.deliver(attest, sso)).toMatchObject({
      code: 'extension_origin_not_allowed',
    });

    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await settle();
    expect(browser.scripts.get('bridge')?.matches).toEqual(['https://sso.corp.test/*']);
    expect(await browser.deliver(attest, sso)).toMatchObject({ code: 'host_not_installed' });
  });

  it('listens on the host’s origins where policy sets none', async () => {
    const { browser } = startIn();
    browser.start();
    await settle();
    expect(browser.scripts.get('bridge')?.matches).toEqual(['https://sso.corp.test/*']);
    expect(await browser.deliver(attest, sso)).toMatchObject({ ok: true });
  });

  it('answers from what was applied last while managed storage is held back', async () => {
    const browser = createFakeBrowser();
    browser.localItems.set('applied_origins', {
      origins: ['https://sso.corp.test'],
      source: 'managed_storage',
    });
    const held = {
      ...browser,
      storage: { ...browser.storage, managed: { get: () => new Promise<never>(() => undefined) } },
    };
    startIn(held);
    browser.start();
    expect(await browser.deliver(attest, sso)).toMatchObject({ ok: true });
  });

  it('stops answering an origin that policy takes away', async () => {
    const { browser } = startIn();
    browser.setByPolicy({ origins: ['https://sso.corp.test', 'https://old.corp.test'] });
    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await settle();
    const answer = browser.deliver(attest, { ...sso, origin: 'https://old.corp.test' });
    expect(await answer).toMatchObject({ ok: false, code: 'extension_origin_not_allowed' });
  });

  it('gives pages the code and keeps the detail', async () => {
    const browser = createFakeBrowser(failingHost('Native host has exited.'));
    const { lines } = startIn(browser);
    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await settle();
    expect(await browser.deliver(attest, sso)).toEqual({
      type: 'answer',
      ok: false,
      code: 'host_exited',
    });
    expect(lines.at(-1)).toContain('Native host has exited.');
  });

  it('answers extension_error when its storage fails', async () => {
    const browser = createFakeBrowser();
    const broken = {
      ...browser,
      storage: {
        ...browser.storage,
        local: { ...browser.storage.local, get: () => Promise.reject(new Error('corrupted')) },
      },
    };
    const { lines } = startIn(broken);
    expect(await browser.deliver(attest, sso)).toMatchObject({ code: 'extension_error' });
    expect(lines.at(-1)).toContain('corrupted');
  });

  it('has four challenges of all pages together with the host, and no more', async () => {
    const browser = createFakeBrowser(() => new Promise(() => undefined));
    startIn(browser);
    browser.setByPolicy({ origins: ['https://sso.corp.test', 'https://other.corp.test'] });
    await settle();
    const senders = [sso, { ...sso, origin: 'https://other.corp.test' }];
    for (const sender of [...senders, ...senders]) browser.deliver(attest, sender);
    await settle();
    for (const sender of senders) {
      expect(await browser.deliver(attest, sender)).toEqual({
        type: 'answer',
        ok: false,
        code: 'extension_error',
      });
    }
    expect(browser.nativeMessages.filter(({ type }) => type === 'attest')).toHaveLength(4);
  });

  it('looks again when the popup asks', async () => {
    let program = failingHost('Specified native messaging host not found.');
    const { browser } = startIn(createFakeBrowser((request) => program(request)));
    browser.start();
    await settle();
    expect(browser.scripts.size).toBe(0);
    program = healthyHost();
    expect(await browser.deliver({ type: 'synchronize' }, {})).toBe(true);
    expect(browser.scripts.size).toBe(1);
  });

  it.each<[what: string, message: unknown]>([
    ['nothing', undefined],
    ['an unknown type', { type: 'sign' }],
    ['an origin beside the challenge', { ...attest, origin: 'https://sso.corp.test' }],
    ['a challenge beyond the limit', { ...attest, challenge: 'x'.repeat(8193) }],
  ])('does not take a message with %s', async (_, message) => {
    const { browser } = startIn();
    expect(browser.deliver(message, sso)).toBeUndefined();
  });

  it('puts the script into pages that were open before the policy came, and into no other', async () => {
    const { browser } = startIn();
    browser.openTabs.push(
      { id: 1, url: 'https://sso.corp.test/login?next=1', loaded: 0 },
      { id: 2, url: 'https://sso.corp.test:8443/', loaded: 0 },
      { id: 3, url: 'https://news.test/', loaded: 0 },
    );
    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await settle();
    expect(browser.openTabs.map(({ loaded }) => loaded)).toEqual([1, 0, 0]);
  });

  it('shows in the toolbar what is missing, and that it is mended', async () => {
    let program = failingHost('Specified native messaging host not found.');
    const { browser } = startIn(createFakeBrowser((request) => program(request)));
    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await settle();
    expect(browser.toolbar).toEqual({
      icon: '/toolbar/off-16.png',
      title: 'Countersign: The Countersign program is missing',
      badge: '!',
    });
    program = healthyHost();
    const again = startIn(browser);
    again.browser.start();
    await settle();
    expect(browser.toolbar).toEqual({
      icon: '/icon/16.png',
      title: 'Countersign: This computer can prove itself',
      badge: '',
    });
  });

  it('remembers what became of the last challenge, for the popup alone', async () => {
    const { browser } = startIn();
    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await settle();
    await browser.deliver(attest, sso);
    await settle();
    expect(browser.localItems.get('last_answer')).toEqual({
      at: expect.stringMatching(/^20\d\d-.*Z$/),
      origin: 'https://sso.corp.test',
    });
  });

  it.each([
    ['a frame', { ...sso, frameId: 3 }],
    ['another origin', { ...sso, origin: 'https://evil.test' }],
  ])('remembers nothing of %s', async (_, sender) => {
    const { browser } = startIn();
    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await settle();
    await browser.deliver(attest, sender);
    await settle();
    expect(browser.localItems.has('last_answer')).toBe(false);
  });

  it('looks at the host once for many challenges of a page', async () => {
    const { browser } = startIn();
    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await settle();
    const looks = () => browser.nativeMessages.filter(({ type }) => type === 'status').length;
    const before = looks();
    for (let count = 0; count < 20; count++) await browser.deliver(attest, sso);
    await settle();
    expect(looks() - before).toBeLessThanOrEqual(1);
  });

  it('hides its storage from content scripts where the browser can', async () => {
    const browser = createFakeBrowser();
    const levels: unknown[] = [];
    const local = {
      ...browser.storage.local,
      setAccessLevel: async (level: unknown) => void levels.push(level),
    };
    startIn({ ...browser, storage: { ...browser.storage, local } });
    expect(levels).toEqual([{ accessLevel: 'TRUSTED_CONTEXTS' }]);
  });
});
