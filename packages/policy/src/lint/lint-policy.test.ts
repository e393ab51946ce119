import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findMatch } from '../evaluate.ts';
import { applicationPolicy, type PolicyDocument, policyDocument } from '../policy-document.ts';
import { policyTemplates } from '../templates.ts';
import { arbitraryFacts, arbitraryPolicy, zones } from '../testing/arbitrary-policy.ts';
import { lintBoth, lintPolicy, type ReportedPosture } from './lint-policy.ts';

const policy = (rules: readonly object[], more: object = {}): PolicyDocument =>
  policyDocument.parse({
    version: 1,
    enforcement: 'enforce',
    otherwise: 'deny',
    rules: rules.map((rule, place) => ({ id: `r${place}`, when: {}, effect: 'allow', ...rule })),
    ...more,
  });
const codesOf = (rules: readonly object[], more: object = {}) =>
  lintPolicy(policy(rules, more)).map(({ code, rule }) => [rule, code].filter(Boolean).join(' '));

const trusted = { device_trust: 'trusted' };
const empty = { acr_values: [], amr_values: [] };

describe('lintPolicy', () => {
  it.each<[string, object[], string[]]>([
    [
      'trust of clients that know passwords alone',
      [{ when: { ...trusted, client_types: ['web_or_modern', 'legacy'] } }],
      ['r0 trust_not_possible'],
    ],
    [
      'trust of telephones that nobody manages',
      [{ when: { device_trust: 'not_trusted', platforms: ['other_mobile'] } }],
      ['r0 trust_not_possible'],
    ],
    [
      'trust of Linux, which there is',
      [{ when: { ...trusted, platforms: ['other_desktop'] } }],
      [],
    ],
    ['legacy clients by themselves', [{ when: { client_types: ['legacy'] } }], []],
    [
      'keys of devices that are not trusted',
      [{ when: { device_trust: 'not_trusted', key_protections: ['tpm'] } }],
      ['r0 never_matches'],
    ],
    [
      'people who are all excepted',
      [{ when: { people: { users: ['ada'], except_users: ['ada', 'bob'] } } }],
      ['r0 never_matches'],
    ],
    [
      'people of whom some are excepted',
      [{ when: { people: { users: ['ada', 'eve'], except_users: ['ada'] } } }],
      [],
    ],
    [
      'people of groups beside them',
      [{ when: { people: { users: ['ada'], groups: ['x'], except_users: ['ada'] } } }],
      [],
    ],
    [
      'zones that are all excepted',
      [{ when: { network: { zones: ['a'], except_zones: ['a'] } } }],
      ['r0 never_matches'],
    ],
    ['a factor that is none', [{ effect: 'step_up', factor: empty }], ['r0 factor_missing']],
    [
      'posture that a management reports, where nobody knows which there are',
      [{ when: { posture: { firewall: true, reported_by: 'mdm' } } }],
      [],
    ],
    [
      'a device let in for its posture, which is known of trusted ones alone',
      [
        { when: { ...trusted, platforms: ['macos'] } },
        { when: { platforms: ['macos'], posture: { firewall: true } } },
      ],
      [],
    ],
    ['what comes after everything', [{ effect: 'deny' }, { when: trusted }], ['r1 unreachable']],
    [
      'a narrower rule after a wider one',
      [
        { when: { key_protections: ['tpm', 'file'] } },
        { when: { key_protections: ['tpm'], ...trusted } },
      ],
      ['r1 unreachable'],
    ],
    [
      'a denial that decides only where nobody says what would tell',
      [{ when: { platforms: ['macos', 'ios'] } }, { when: { platforms: ['ios'] }, effect: 'deny' }],
      ['r1 shadowed'],
    ],
    [
      'an exact repetition, of what is not always told too',
      [{ when: { client_types: ['legacy'] } }, { when: { client_types: ['legacy'] } }],
      ['r1 unreachable'],
    ],
    [
      'a repetition that asks for more',
      [
        { when: { client_types: ['legacy'] } },
        { when: { client_types: ['legacy'] }, reauthenticate_after_seconds: 60 },
      ],
      ['r1 shadowed'],
    ],
    [
      'what comes after trusted devices and all others',
      [
        { when: trusted },
        { when: { device_trust: 'not_trusted' }, effect: 'deny' },
        { when: { people: { users: ['ada'] } } },
      ],
      ['r2 unreachable', 'people_differ'],
    ],
    [
      'keys that only trusted devices have, after these',
      [{ when: trusted }, { when: { key_protections: ['tpm'] } }],
      ['r1 unreachable'],
    ],
    [
      'Macs let in as they are before a rule that wants them trusted',
      [
        { when: { platforms: ['macos', 'windows'] } },
        { when: { ...trusted, platforms: ['macos'] } },
      ],
      ['r1 unreachable', 'r0 untrusted_let_in'],
    ],
    [
      'Macs that are not trusted, let in before a rule that wants them trusted',
      [
        { when: { device_trust: 'not_trusted', platforms: ['macos'] } },
        { when: { ...trusted, platforms: ['macos'] } },
      ],
      ['r0 untrusted_let_in'],
    ],
    [
      'no Macs in a rule behind one that denies those that are not trusted',
      [
        { when: { device_trust: 'not_trusted', platforms: ['macos'] }, effect: 'deny' },
        { when: { ...trusted, platforms: ['macos'] } },
        { when: { platforms: ['macos', 'windows'], client_types: ['web_or_modern'] } },
      ],
      [],
    ],
    [
      'no exception for some before a rule for all',
      [
        { when: { people: { users: ['ada'] }, platforms: ['macos'] } },
        { when: { ...trusted, platforms: ['macos'] } },
      ],
      ['people_differ'],
    ],
    ['devices that are let in as they are', [{ when: trusted }, {}], ['r1 untrusted_let_in']],
    [
      'a wider rule after a narrower one',
      [
        { when: { platforms: ['ios'], client_types: ['legacy'] } },
        { when: { platforms: ['ios'] } },
      ],
      [],
    ],
    [
      'a rule that is switched off',
      [{ effect: 'deny', enabled: false }, { when: { client_types: ['legacy'] } }],
      [],
    ],
    [
      'Macs that an earlier rule wants trusted',
      [
        { when: { ...trusted, platforms: ['macos'] } },
        { when: { platforms: ['windows', 'macos'] } },
      ],
      ['r1 untrusted_let_in'],
    ],
    [
      'Macs among all, too',
      [{ when: { ...trusted, platforms: ['macos'] } }, {}],
      ['r1 untrusted_let_in'],
    ],
    [
      'Macs that are denied',
      [{ when: { ...trusted, platforms: ['macos'] } }, { effect: 'deny' }],
      [],
    ],
    ['different people', [{ when: { people: { users: ['ada'] } } }, {}], ['people_differ']],
    [
      'different networks',
      [{ when: { network: { location: 'on_network' } } }, {}],
      ['network_differs'],
    ],
  ])('finds %s', (_, rules, codes) => {
    expect(codesOf(rules)).toEqual(codes);
  });

  it('finds that whoever no rule matches is let in', () => {
    expect(codesOf([{ when: trusted }], { otherwise: 'allow' })).toEqual(['no_catch_all_deny']);
    const denied = [{ when: trusted }, { effect: 'deny' }];
    expect(codesOf(denied, { otherwise: 'allow' })).toEqual([]);
  });

  it('calls nothing unreachable that is ever reached', () => {
    const found = { unreachable: 0, shadowed: 0 };
    fc.assert(
      fc.property(
        arbitraryPolicy,
        fc.array(arbitraryFacts(false), { minLength: 8 }),
        (given, all) => {
          const findings = lintPolicy(given);
          const rulesOf = (wanted: string) =>
            new Set(findings.flatMap(({ code, rule }) => (code === wanted ? [rule] : [])));
          const [unreachable, shadowed] = [rulesOf('unreachable'), rulesOf('shadowed')];
          found.unreachable += unreachable.size;
          found.shadowed += shadowed.size;
          for (const facts of all) {
            const { rule, isUncertain } = findMatch(given, facts, zones);
            if (isUncertain || rule === undefined) continue;
            expect(unreachable.has(rule.id)).toBe(false);
            expect(shadowed.has(rule.id)).toBe(false);
          }
        },
      ),
      { seed: 20_261_122, numRuns: 300 },
    );
    expect(found.unreachable).toBeGreaterThan(100);
    expect(found.shadowed).toBeGreaterThan(10);
  });

  it('calls nothing impossible that ever matches', () => {
    fc.assert(
      fc.property(
        arbitraryPolicy,
        fc.array(arbitraryFacts(false), { minLength: 8 }),
        (given, all) => {
          const never = new Set(
            lintPolicy(given).flatMap(({ code, rule }) => (code === 'never_matches' ? [rule] : [])),
          );
          for (const facts of all) {
            const { rule } = findMatch(given, facts, zones);
            if (rule !== undefined) expect(never.has(rule.id)).toBe(false);
          }
        },
      ),
      { seed: 20_261_122, numRuns: 300 },
    );
  });
});

describe('an application with the global policy behind it', () => {
  const macs = { platforms: ['macos'], device_trust: 'trusted' };
  const own = (rules: readonly object[], otherwise = 'global') =>
    applicationPolicy.parse({ version: 1, enforcement: 'enforce', rules, otherwise });
  const global = (rules: readonly object[]) => policy(rules, { version: 2 });
  const staff = { id: 'staff', when: { platforms: ['macos', 'windows'] }, effect: 'allow' };

  it('is told of a global rule that lets in what its own rules want trusted', () => {
    const rules = [{ id: 'macs', when: macs, effect: 'allow' }];
    expect(lintBoth(own(rules), global([staff]))).toMatchObject([
      { code: 'untrusted_let_in', rule: 'global/staff' },
    ]);
    expect(lintBoth(own(rules, 'deny'), global([staff]))).toEqual([]);
  });

  it('is not told what is said of the global policy by itself', () => {
    const rules = [{ id: 'trusted', when: macs, effect: 'allow' }, staff];
    expect(lintBoth(own([]), global(rules))).toEqual([]);
    expect(lintPolicy(global(rules))).toMatchObject([{ rule: 'staff' }]);
  });

  it('is told of it where a global rule that would say so is switched off', () => {
    const off = { id: 'trusted', when: macs, effect: 'allow', enabled: false };
    const rules = [{ id: 'macs', when: macs, effect: 'allow' }];
    expect(lintBoth(own(rules), global([off, staff]))).toMatchObject([
      { code: 'untrusted_let_in', rule: 'global/staff' },
    ]);
  });

  it('may have rules for other people than the global policy', () => {
    const guests = { id: 'guests', when: { people: { groups: ['guests'] } }, effect: 'deny' };
    expect(lintBoth(own([guests]), global([{ ...staff, when: macs }]))).toEqual([]);
  });
});

describe('the templates', () => {
  it.each(Object.entries(policyTemplates))('%s is a policy without mistakes', (_, template) => {
    const document = applicationPolicy.parse({ version: 1, ...template.policy });
    expect(lintPolicy(document)).toEqual([]);
  });
});

describe('a policy on what managements report', () => {
  const mdm = { firewall: true, disk_encryption: true, minimum_os_version: { macos: '14' } };
  it.each<[string, ReportedPosture[], object, string | undefined]>([
    [
      'no integration',
      [],
      { ...mdm, reported_by: 'mdm' },
      'disk_encryption, firewall, minimum_os_version',
    ],
    ['one that knows the disk', ['disk_encryption'], { ...mdm, reported_by: 'mdm' }, 'firewall'],
    [
      'all that is asked for',
      ['firewall', 'disk_encryption', 'minimum_os_version'],
      { ...mdm, reported_by: 'mdm' },
      undefined,
    ],
    ['none, where devices may say it', [], { ...mdm, reported_by: 'any' }, undefined],
    ['none, where devices are to say it', [], { ...mdm, reported_by: 'device' }, undefined],
  ])('is held against %s', (_, reported, posture, missing) => {
    const reportedByManagement = new Set(reported);
    const findings = lintPolicy(policy([{ when: { posture } }]), { reportedByManagement });
    expect(findings.map(({ code }) => code)).toEqual(missing ? ['posture_not_reported'] : []);
    if (missing !== undefined) expect(findings[0]?.detail).toContain(missing);
  });
});
