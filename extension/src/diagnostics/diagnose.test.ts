import { type UnavailableCode, unavailableCodes } from '@countersign/protocol';
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
  patternsWithoutAccess: [],
  lastAnswer: undefined,
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
    expect(diagnose(healthy).summary).toEqual([
      { label: 'Sign-in pages', value: 'sso.corp.test' },
      { label: 'Certificate', value: 'until 1 January 2027' },
      { label: 'Last proof', value: 'Not yet' },
    ]);
  });

  it('does not claim to know what the broker decides', () => {
    const { headline, explanation } = diagnose(healthy);
    expect(`${headline} ${explanation}`).not.toMatch(/trusted/i);
    expect(explanation).toContain('decides at each sign-in');
  });

  it('says when the device proved itself last, and for which page', () => {
    const lastAnswer = { at: healthy.now, origin };
    const last = (facts: BrowserFacts) => diagnose(facts).summary.at(-1)?.value;
    expect(last({ ...healthy, lastAnswer })).toMatch(/^Today, \d\d:\d\d\nsso\.corp\.test$/);
    const at = new Date('2026-05-03T12:00:00Z');
    expect(last({ ...healthy, lastAnswer: { at, origin } })).toMatch(/^3 May 2026, \d\d:\d\d\n/);
  });

  it('names few of many pages', () => {
    const origins = Array.from({ length: 5 }, (_, index) => `https://sso${index}.corp.test`);
    const facts = { ...healthy, applied: { origins, source: 'managed_storage' } as const };
    expect(diagnose(facts).summary[0]?.value).toBe('sso0.corp.test\nand 4 more');
  });

  it('says plainly that a development configuration is in use', () => {
    const facts = withStatus({ development: true });
    expect(diagnose(facts)).toMatchObject({ state: 'development', whoFixesIt: 'it_support' });
    expect(diagnose(facts).headline).toContain('test configuration');
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
      'no access to the page',
      { ...healthy, patternsWithoutAccess: [`${origin}/*`] },
      'page_access_missing',
      'you',
    ],
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
    expect(diagnose(facts).nextStep).not.toBe('');
  });

  it.each<[left: string, notBefore: string, notAfter: string, now: string, warned: boolean]>([
    ['15 days of a year', '2026-01-01', '2027-01-01', '2026-12-17', false],
    ['14 days of a year', '2026-01-01', '2027-01-01', '2026-12-18', true],
    ['8 days of 30', '2026-06-01', '2026-07-01', '2026-06-23', false],
    ['7 days of 30', '2026-06-01', '2026-07-01', '2026-06-24', true],
    ['2 days of 7', '2026-06-01', '2026-06-08', '2026-06-06', false],
    ['1 day of 7', '2026-06-01', '2026-06-08', '2026-06-07', true],
  ])('warns of the end with %s left', (_, notBefore, notAfter, now, warned) => {
    const facts: BrowserFacts = {
      ...withStatus({
        certificate: {
          ...healthyStatus.certificate,
          not_before: `${notBefore}T00:00:00Z`,
          not_after: `${notAfter}T00:00:00Z`,
        },
      }),
      now: new Date(`${now}T00:00:00Z`),
    };
    expect(detailOf(facts, 'Code')).toBe(warned ? 'certificate_expires_soon' : undefined);
    if (!warned) return;
    const diagnosis = diagnose(facts);
    expect(diagnosis).toMatchObject({ state: 'attention', whoFixesIt: 'it_support' });
    expect(diagnosis.headline).toMatch(/expires on \d+ (January|July|June) 202[67]$/);
    expect(diagnosis.nextStep).toContain(diagnosis.headline.split(' on ')[1]);
  });

  it('waits for a policy that the browser holds back, if there never was one', () => {
    const managedStorage = { state: 'pending' } as const;
    const facts: BrowserFacts = { ...healthy, managedStorage, applied: undefined };
    expect(diagnose(facts)).toMatchObject({ state: 'attention', whoFixesIt: 'nobody' });
    expect(detailOf(facts, 'Code')).toBe('policy_pending');
    expect(diagnose({ ...healthy, managedStorage })).toMatchObject({ state: 'ready' });
  });

  describe('of a last sign-in without proof', () => {
    const failed = (code: UnavailableCode, at = healthy.now): BrowserFacts => ({
      ...healthy,
      lastAnswer: { at, origin, code },
    });

    it.each([
      ['clock_skew', 'you'],
      ['key_unavailable', 'it_support'],
      ['origin_not_allowed', 'it_support'],
      ['challenge_wrong_audience', 'it_support'],
    ] as const)('warns after %s', (code, whoFixesIt) => {
      const facts = failed(code);
      expect(diagnose(facts)).toMatchObject({ state: 'attention', whoFixesIt });
      expect(diagnose(facts).explanation).toContain('sso.corp.test');
      expect(detailOf(facts, 'Code')).toBe(code);
      expect(detailOf(facts, 'Last asked')).toContain(code);
    });

    it('is silent a day later', () => {
      expect(diagnose(failed('clock_skew', new Date('2026-05-30T23:59:59Z'))).state).toBe('ready');
    });

    it('is silent about what the program itself shows to be mended', () => {
      expect(diagnose(failed('host_not_installed')).state).toBe('ready');
    });

    it('comes after what keeps every sign-in from working', () => {
      const host = { ok: false, code: 'host_not_installed', detail: '' } as const;
      expect(detailOf({ ...failed('clock_skew'), host }, 'Code')).toBe('host_not_installed');
    });
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
    expect(diagnosis.nextStep).not.toBe('');
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

  it('name the pages that the person keeps to themselves', async () => {
    const browser = createFakeBrowser(healthyHost());
    const host = createNativeHost(browser.runtime, () => 'id');
    browser.setByPolicy({ origins: [origin, 'https://other.corp.test'] });
    await createSynchronizer(browser, host)();
    browser.withheld.add(`${origin}/*`);
    expect((await gatherFacts(browser, host, healthy.now)).patternsWithoutAccess).toEqual([
      `${origin}/*`,
    ]);
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
