import { describe, expect, it } from 'vitest';
import { createFakeBrowser, failingHost, healthyHost, turn } from '../fake-browser.ts';
import { createNativeHost } from '../native-host/native-host.ts';
import { readAppliedOrigins } from './applied-origins.ts';
import { createSynchronizer } from './create-synchronizer.ts';

function synchronizerIn(browser = createFakeBrowser()) {
  const host = createNativeHost(browser.runtime, () => 'id');
  return { browser, synchronize: createSynchronizer(browser, host) };
}

describe('a synchronization', () => {
  it('applies the list, then the scripts', async () => {
    const { browser, synchronize } = synchronizerIn();
    browser.setByPolicy({ origins: ['https://sso.corp.test:8443'] });
    await synchronize();
    expect(await readAppliedOrigins(browser.storage)).toEqual({
      origins: ['https://sso.corp.test:8443'],
      source: 'managed_storage',
    });
    expect(browser.scripts.get('bridge')?.matches).toEqual(['https://sso.corp.test/*']);
  });

  it('never runs twice at once, and the last policy wins', async () => {
    const { browser, synchronize } = synchronizerIn();
    browser.setByPolicy({ origins: ['https://a.corp.test'] });
    const runs = [synchronize(), synchronize()];
    browser.setByPolicy({ origins: ['https://b.corp.test'] });
    runs.push(synchronize(), synchronize());
    await Promise.all(runs);
    browser.setByPolicy({ origins: ['https://c.corp.test'] });
    await synchronize();
    expect(browser.scripts.get('bridge')?.matches).toEqual(['https://c.corp.test/*']);
  });

  it('changes nothing while managed storage is malformed', async () => {
    const { browser, synchronize } = synchronizerIn();
    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await synchronize();
    const before = structuredClone([...browser.localItems]);
    browser.setByPolicy({ origins: ['https://sso.corp.test', 'https://more.corp.test/'] });
    expect(await synchronize()).toMatchObject({ ok: false, field: 'origins.1' });
    expect([...browser.localItems]).toEqual(before);
    expect(browser.scripts.get('bridge')?.matches).toEqual(['https://sso.corp.test/*']);
  });

  it('registers nothing anew when neither policy nor host names an origin', async () => {
    const browser = createFakeBrowser(failingHost('Native host has exited.'));
    const { synchronize } = synchronizerIn(browser);
    expect(await synchronize()).toMatchObject({ ok: false, code: 'host_exited' });
    expect(browser.localItems.size).toBe(0);
    expect(browser.scripts.size).toBe(0);
  });

  it('restores what an update took away before it waits for managed storage', async () => {
    const { browser, synchronize } = synchronizerIn();
    browser.setByPolicy({ origins: ['https://sso.corp.test'] });
    await synchronize();
    browser.scripts.clear();
    browser.openTabs.push({ id: 1, url: 'https://sso.corp.test/', loaded: 0 });
    const managed = { get: () => new Promise<never>(() => undefined) };
    const updated = createSynchronizer(
      { ...browser, storage: { ...browser.storage, managed } },
      createNativeHost(browser.runtime, () => 'id'),
    );
    void updated();
    for (let count = 0; count < 20; count++) await turn();
    expect(browser.scripts.get('bridge')?.matches).toEqual(['https://sso.corp.test/*']);
    expect(browser.openTabs[0]?.loaded).toBe(1);
  });

  it('goes on after one that failed', async () => {
    const browser = createFakeBrowser(healthyHost());
    const register = browser.scripting.registerContentScripts;
    let failures = 1;
    const flaky = {
      ...browser,
      scripting: {
        ...browser.scripting,
        registerContentScripts: async (scripts: Parameters<typeof register>[0]) => {
          if (failures-- > 0) throw new Error('not now');
          return register(scripts);
        },
      },
    };
    const { synchronize } = synchronizerIn(flaky);
    await expect(synchronize()).rejects.toThrow('not now');
    await synchronize();
    expect(browser.scripts.size).toBe(1);
  });
});

describe('the applied origins', () => {
  it('count as absent when what is stored is not a list of origins', async () => {
    const browser = createFakeBrowser();
    browser.localItems.set('applied_origins', { origins: ['*'], source: 'managed_storage' });
    expect(await readAppliedOrigins(browser.storage)).toBeUndefined();
  });
});
