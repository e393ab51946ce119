import { unavailableCodes } from '@countersign/protocol';
import { describe, expect, it } from 'vitest';
import { createFakeBrowser, failingHost, healthyHost, healthyStatus } from '../fake-browser.ts';
import { createSynchronizer } from '../managed-config/create-synchronizer.ts';
import { createNativeHost } from '../native-host/native-host.ts';
import { type BrowserFacts, gatherFacts } from './browser-facts.ts';
import { detailsAsText } from './details.ts';
import { diagnose, diagnosisOfFailure } from './diagnose.ts';

const origin = 'https://sso.corp.test';
const healthy: BrowserFacts = {
  now: new Date('2026-06-01T00:00:00Z'),
  extensionVersion: '1.2.3',
  managedStorage: { state: 'set', config: { origins: [origin] } },
  host: { ok: true, status: healthyStatus },
  applied: { origins: [origin], source: 'managed_storage' },
  registeredPatterns: [`${origin}/*`],
};

const withStatus = (status: object): BrowserFacts => ({
  ...healthy,
  host: { ok: true, status: { ...healthyStatus, ...status } },
});
const detailOf = (facts: BrowserFacts, label: string) =>
  diagnose(facts).details.find((detail) => detail.label === label)?.value;

describe('the diagnosis', () => {
  it('is that all is well', () => {
    expect(diagnose(healthy)).toMatchObject({ state: 'ready', whoFixesIt: 'nobody' });
    expect(detailOf(healthy, 'Code')).toBeUndefined();
    expect(detailOf(healthy, 'Sign-in pages')).toBe(origin);
  });

  it('says plainly that a development configuration is in use', () => {
    const facts = withStatus({ development: true });
    expect(diagnose(facts)).toMatchObject({ state: 'development', whoFixesIt: 'nobody' });
    expect(diagnose(facts).headline).toContain('development');
    expect(detailOf(facts, 'Configuration')).toContain('development');
  });

  it.each<[state: string, facts: BrowserFacts, code: string, who: string]>([
    [
      'no certificate',
      withStatus({ enrolled: false, certificate: undefined }),
      'not_enrolled',
      'it_support',
    ],
    [
      'an expired certificate',
      { ...healthy, now: new Date('2027-01-01T00:00:01Z') },
      'certificate_expired',
      'it_support',
    ],
    [
      'a clock in the past',
      { ...healthy, now: new Date('2025-12-31T23:59:59Z') },
      'certificate_not_yet_valid',
      'you',
    ],
    [
      'a malformed policy on a new browser',
      {
        ...healthy,
        applied: undefined,
        managedStorage: { state: 'malformed', field: 'origins.2', detail: 'must be an origin' },
      },
      'managed_storage_malformed',
      'it_support',
    ],
    [
      'a policy that cannot be read on a new browser',
      { ...healthy, applied: undefined, managedStorage: { state: 'unreadable', detail: 'no' } },
      'managed_storage_unreadable',
      'it_support',
    ],
    [
      'no origins at all',
      { ...healthy, managedStorage: { state: 'empty' }, applied: undefined },
      'no_origins',
      'it_support',
    ],
    [
      'no origins by policy',
      { ...healthy, applied: { origins: [], source: 'managed_storage' } },
      'no_origins',
      'it_support',
    ],
    ['no script on the page', { ...healthy, registeredPatterns: [] }, 'not_registered', 'you'],
    [
      'a host with another list',
      withStatus({ origins: ['https://other.test'] }),
      'origin_not_allowed',
      'it_support',
    ],
  ])('names %s', (_, facts, code, who) => {
    expect(diagnose(facts)).toMatchObject({ state: 'not_ready', whoFixesIt: who });
    expect(detailOf(facts, 'Code')).toBe(code);
    expect(diagnose(facts).explanation).not.toBe('');
  });

  it('names the field of a malformed policy, under which the older origins go on working', () => {
    const managedStorage = {
      state: 'malformed',
      field: 'origins.2',
      detail: 'must be an origin',
    } as const;
    const facts: BrowserFacts = { ...healthy, managedStorage };
    expect(detailOf(facts, 'Cause')).toContain('field origins.2: must be an origin');
    expect(diagnose(facts)).toMatchObject({ state: 'attention', whoFixesIt: 'it_support' });
    expect(diagnose(facts).explanation).toContain('still work');
  });

  it('warns when the host allows some of the pages only', () => {
    const applied = {
      origins: [origin, 'https://new.corp.test'],
      source: 'managed_storage',
    } as const;
    const facts: BrowserFacts = {
      ...healthy,
      applied,
      registeredPatterns: [`${origin}/*`, 'https://new.corp.test/*'],
    };
    expect(diagnose(facts)).toMatchObject({ state: 'attention', whoFixesIt: 'it_support' });
    expect(detailOf(facts, 'Cause')).toContain('https://new.corp.test');
    expect(detailOf(facts, 'Cause')).not.toContain(origin);
  });

  it.each(unavailableCodes)('has words for a host that fails with %s', (code) => {
    const facts: BrowserFacts = { ...healthy, host: { ok: false, code, detail: 'the words' } };
    const diagnosis = diagnose(facts);
    expect(diagnosis.state).toBe('not_ready');
    expect(diagnosis.whoFixesIt).not.toBe('nobody');
    expect(detailOf(facts, 'Code')).toBe(code);
    expect(detailOf(facts, 'Reported')).toBe('the words');
  });

  it('speaks of a missing host before anything that follows from it', () => {
    const facts: BrowserFacts = {
      ...healthy,
      host: { ok: false, code: 'host_not_installed', detail: '' },
      applied: undefined,
      registeredPatterns: [],
    };
    expect(diagnose(facts).headline).toBe('The Countersign program is missing');
  });

  it('has words for a failure of the extension itself', () => {
    expect(diagnosisOfFailure('corrupted')).toMatchObject({
      state: 'not_ready',
      details: [
        { label: 'Code', value: 'extension_error' },
        { label: 'Reported', value: 'corrupted' },
      ],
    });
  });

  it('can be copied as text, one fact a line', () => {
    const text = detailsAsText('All well', [
      { label: 'Code', value: 'a' },
      { label: 'Sign-in pages', value: 'https://a\nhttps://b' },
    ]);
    expect(text).toBe('Countersign: All well\nCode: a\nSign-in pages: https://a https://b');
  });
});

describe('the facts', () => {
  it('come from the browser and the host', async () => {
    const browser = createFakeBrowser(healthyHost({ development: true }));
    const host = createNativeHost(browser.runtime, () => 'id');
    browser.setByPolicy({ origins: [origin] });
    await createSynchronizer(browser, host)();
    expect(await gatherFacts(browser, host, healthy.now)).toEqual(
      withStatus({ development: true }),
    );
  });

  it('are complete when everything is missing', async () => {
    const browser = createFakeBrowser(failingHost('Native host has exited.'));
    const host = createNativeHost(browser.runtime, () => 'id');
    expect(await gatherFacts(browser, host, healthy.now)).toMatchObject({
      managedStorage: { state: 'empty' },
      host: { ok: false, code: 'host_exited' },
      applied: undefined,
      registeredPatterns: [],
    });
  });
});
