import { describe, expect, it } from 'vitest';
import { createFakeBrowser, failingHost, healthyHost } from '../fake-browser.ts';
import { createNativeHost } from '../native-host/native-host.ts';
import { chooseOrigins } from './choose-origins.ts';
import { readManagedStorage } from './read-managed-storage.ts';

async function choiceFor(items: Record<string, unknown>, program = healthyHost()) {
  const browser = createFakeBrowser(program);
  browser.setByPolicy(items);
  const host = createNativeHost(browser.runtime, () => 'id');
  return {
    browser,
    choice: await chooseOrigins(await readManagedStorage(browser.storage), host),
  };
}

describe('the origins to listen on', () => {
  it('are those of managed storage, without asking the host', async () => {
    const origins = ['https://a.corp.test', 'https://b.corp.test:8443', 'https://a.corp.test'];
    const { browser, choice } = await choiceFor({ origins });
    expect(choice).toEqual({
      ok: true,
      source: 'managed_storage',
      origins: ['https://a.corp.test', 'https://b.corp.test:8443'],
    });
    expect(browser.nativeMessages).toEqual([]);
  });

  it('may be none, by policy', async () => {
    const { choice } = await choiceFor({ origins: [] });
    expect(choice).toEqual({ ok: true, source: 'managed_storage', origins: [] });
  });

  it('are the host’s own where policy sets nothing', async () => {
    const { choice } = await choiceFor({});
    expect(choice).toEqual({
      ok: true,
      source: 'native_host',
      origins: ['https://sso.corp.test'],
    });
  });

  it('are unknown while policy sets nothing and the host is missing', async () => {
    const program = failingHost('Specified native messaging host not found.');
    const { choice } = await choiceFor({}, program);
    expect(choice).toMatchObject({
      ok: false,
      reason: 'host_unavailable',
      code: 'host_not_installed',
    });
  });

  it.each<[problem: string, items: Record<string, unknown>, field: string]>([
    ['a path', { origins: ['https://a.corp.test', 'https://b.corp.test/login'] }, 'origins.1'],
    ['plain http', { origins: ['http://sso.corp.test'] }, 'origins.0'],
    ['a default port', { origins: ['https://sso.corp.test:443'] }, 'origins.0'],
    ['a pattern', { origins: ['https://*.corp.test'] }, 'origins.0'],
    ['null', { origins: ['null'] }, 'origins.0'],
    ['no list', { origins: 'https://sso.corp.test' }, 'origins'],
    ['another setting alone', { broker: 'https://broker.corp.test' }, 'origins'],
    [
      '65 origins',
      { origins: Array.from({ length: 65 }, (_, n) => `https://${n}.test`) },
      'origins',
    ],
  ])('are not guessed when managed storage has %s', async (_, items, field) => {
    const { browser, choice } = await choiceFor(items);
    expect(choice).toMatchObject({ ok: false, reason: 'managed_storage_malformed', field });
    expect(browser.nativeMessages).toEqual([]);
  });
});

describe('managed storage', () => {
  const failing = (message: string) => ({
    managed: { get: () => Promise.reject(new Error(message)) },
  });

  it('is empty in a browser that has none', async () => {
    expect(await readManagedStorage({})).toEqual({ state: 'empty' });
  });

  it('is empty in Firefox without a policy', async () => {
    expect(await readManagedStorage(failing('Managed storage manifest not found'))).toEqual({
      state: 'empty',
    });
  });

  it('says why it cannot be read', async () => {
    expect(await readManagedStorage(failing('disk on fire'))).toEqual({
      state: 'unreadable',
      detail: 'disk on fire',
    });
  });
});
