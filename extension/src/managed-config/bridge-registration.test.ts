import { describe, expect, it } from 'vitest';
import { createFakeBrowser } from '../fake-browser.ts';
import {
  applyBridgeRegistration,
  matchPatternsFor,
  registeredPatterns,
} from './bridge-registration.ts';

describe('matchPatternsFor', () => {
  it('drops ports, which patterns cannot carry, and doubles', () => {
    expect(
      matchPatternsFor([
        'https://sso.corp.test:8443',
        'https://sso.corp.test',
        'http://localhost:8790',
      ]),
    ).toEqual(['http://localhost/*', 'https://sso.corp.test/*']);
  });
});

describe('applyBridgeRegistration', () => {
  it('registers the script for top frames, early and across sessions', async () => {
    const { scripting, scripts } = createFakeBrowser();
    await applyBridgeRegistration(scripting, ['https://sso.corp.test']);
    expect([...scripts.values()]).toEqual([
      {
        id: 'bridge',
        js: ['content-scripts/bridge.js'],
        matches: ['https://sso.corp.test/*'],
        runAt: 'document_start',
        allFrames: false,
        persistAcrossSessions: true,
      },
    ]);
  });

  it('updates in place, so that no page loads without it', async () => {
    const { scripting, scripts } = createFakeBrowser();
    await applyBridgeRegistration(scripting, ['https://old.corp.test']);
    const withoutGap = {
      ...scripting,
      unregisterContentScripts: async () => expect.unreachable('opened a gap'),
    };
    await applyBridgeRegistration(withoutGap, ['https://new.corp.test']);
    expect(scripts.get('bridge')?.matches).toEqual(['https://new.corp.test/*']);
    expect(await registeredPatterns(scripting)).toEqual(['https://new.corp.test/*']);
  });

  it('takes it away when no origin is left', async () => {
    const { scripting, scripts } = createFakeBrowser();
    await applyBridgeRegistration(scripting, []);
    await applyBridgeRegistration(scripting, ['https://sso.corp.test']);
    await applyBridgeRegistration(scripting, []);
    expect(scripts.size).toBe(0);
    expect(await registeredPatterns(scripting)).toEqual([]);
  });
});
