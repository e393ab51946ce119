import { describe, expect, it } from 'vitest';
import { policyDocument } from './policy-document.ts';
import { hypotheticalSignIn, whatIf } from './what-if.ts';
import { networkZone } from './zones.ts';

const nowMs = Date.parse('2026-11-23T10:00:00Z');

const office = networkZone.parse({
  zone_id: 'office',
  name: 'Office',
  on_network: true,
  blocks: ['192.0.2.0/24'],
});

const policy = policyDocument.parse({
  version: 3,
  enforcement: 'enforce',
  enrollment_strengths: ['hardware_attested'],
  rules: [
    { id: 'off', when: {}, effect: 'deny', enabled: false },
    {
      id: 'staff-in-office',
      name: 'Staff in the office',
      when: {
        people: { groups: ['staff'] },
        network: { location: 'on_network' },
        device_trust: 'trusted',
        posture: { disk_encryption: true },
        time: { time_zone: 'UTC', days: ['mon'] },
      },
      effect: 'allow',
      reauthenticate_after_seconds: 3600,
    },
    {
      id: 'others',
      when: { platforms: ['windows'] },
      effect: 'step_up',
      factor: { acr_values: ['phr'], amr_values: [] },
    },
  ],
  otherwise: 'deny',
});

const ask = (given: unknown) => whatIf(policy, hypotheticalSignIn.parse(given), [office], nowMs);

const trusted = {
  trusted: true,
  enrollment_strength: 'hardware_attested',
  posture: { disk_encryption: { device: true } },
};

describe('whatIf', () => {
  it('says the outcome, and of each rule up to the one that decides what it wanted and saw', () => {
    const found = ask({
      user: 'ada',
      groups: ['staff'],
      ip_address: '192.0.2.7',
      device: trusted,
    });
    expect(found).toMatchObject({
      effect: 'allow',
      reason: 'trusted_device',
      rule: 'staff-in-office',
      reauthenticate_after_seconds: 3600,
      uncertain: false,
    });
    expect(found.rules.map(({ rule, verdict }) => [rule, verdict])).toEqual([
      ['off', 'disabled'],
      ['staff-in-office', 'met'],
    ]);
    expect(found.rules[1]?.criteria.map(({ criterion, verdict }) => [criterion, verdict])).toEqual([
      ['people', 'met'],
      ['network', 'met'],
      ['device_trust', 'met'],
      ['posture', 'met'],
      ['time', 'met'],
    ]);
  });

  it('takes what is left out for what nobody said, and says where that matters', () => {
    const found = ask({ user: 'ada', groups: ['staff'], device: trusted });
    expect(found).toMatchObject({ effect: 'deny', uncertain: true });
    expect(found.rules.map(({ verdict }) => verdict)).toEqual(['disabled', 'unknown', 'unknown']);
  });

  it("holds a management's version against the platform that the management names", () => {
    const draft = policyDocument.parse({
      version: 1,
      enforcement: 'enforce',
      rules: [
        {
          id: 'fresh',
          when: {
            posture: {
              minimum_os_version: { macos: '14.5', windows: '10.0.22000' },
              reported_by: 'mdm',
            },
          },
          effect: 'allow',
        },
      ],
      otherwise: 'deny',
    });
    const effectOf = (posture: object) =>
      whatIf(
        draft,
        hypotheticalSignIn.parse({
          user: 'ada',
          device: { ...trusted, platform: 'windows', posture },
        }),
        [],
        nowMs,
      ).effect;
    const platform = { mdm: 'macos' };
    expect(effectOf({ platform, os_version: { mdm: '13.2' } })).toBe('deny');
    expect(effectOf({ platform, os_version: { mdm: '14.5' } })).toBe('allow');
    expect(effectOf({ os_version: { mdm: '14.5' } })).toBe('deny');
  });

  it('asks about another time than now', () => {
    const given = { user: 'ada', groups: ['staff'], ip_address: '192.0.2.7', device: trusted };
    const tuesday = ask({ ...given, platform: 'ios', at: '2026-11-24T10:00:00Z' });
    expect(tuesday).toMatchObject({ effect: 'deny', rule: 'default', reason: 'policy_denied' });
  });

  it('knows no device where none is told, and a reason where one is', () => {
    expect(ask({ user: 'ada', platform: 'ios' })).toMatchObject({
      effect: 'deny',
      reason: 'evidence_missing',
    });
    const revoked = { trusted: false, reason: 'certificate_revoked' };
    expect(ask({ user: 'ada', platform: 'ios', device: revoked }).reason).toBe(
      'certificate_revoked',
    );
  });

  it('trusts no device of an enrollment that the policy does not take', () => {
    const weak = { ...trusted, enrollment_strength: 'one_time_token' };
    expect(ask({ user: 'ada', platform: 'ios', device: weak }).reason).toBe(
      'enrollment_strength_insufficient',
    );
  });

  it('does not take for granted how a device was enrolled, and says that it matters', () => {
    const { enrollment_strength: _, ...unsaid } = trusted;
    expect(ask({ user: 'ada', platform: 'ios', device: unsaid })).toMatchObject({
      reason: 'enrollment_strength_insufficient',
      uncertain: true,
    });
    const keys = policyDocument.parse({
      ...policy,
      enrollment_strengths: undefined,
      rules: [
        { id: 'tpm', when: { key_protections: ['tpm'] }, effect: 'allow' },
        { id: 'new', when: { certificate_age: { at_most_days: 9 } }, effect: 'allow' },
      ],
    });
    const given = hypotheticalSignIn.parse({ user: 'ada', device: { trusted: true } });
    const found = whatIf(keys, given, [], nowMs);
    expect(found.rules.map(({ verdict }) => verdict)).toEqual(['unknown', 'unknown']);
    expect(found).toMatchObject({ effect: 'deny', uncertain: true });
  });

  it('says of a device that is enrolled too weakly so, before it asks for the authentication', () => {
    const device = { ...trusted, trusted: false, reason: 'subject_not_authenticated' };
    const weak = { ...device, enrollment_strength: 'one_time_token' };
    expect(ask({ user: 'ada', platform: 'ios', device: weak }).reason).toBe(
      'enrollment_strength_insufficient',
    );
  });

  it('says the factor that is asked for', () => {
    expect(ask({ user: 'ada', platform: 'windows' })).toMatchObject({
      effect: 'step_up',
      rule: 'others',
      factor: { acr_values: ['phr'] },
    });
  });

  it('judges a device of which only the authentication is missing as one that is trusted', () => {
    const device = { ...trusted, trusted: false, reason: 'subject_not_authenticated' };
    const found = ask({
      user: 'ada',
      groups: ['staff'],
      ip_address: '192.0.2.7',
      platform: 'macos',
      device,
    });
    expect(found).toMatchObject({ effect: 'step_up', reason: 'authentication_required' });
    expect(found.rules.at(-1)).toMatchObject({ rule: 'staff-in-office', verdict: 'met' });
  });

  it.each([
    ['an address that is none', { ip_address: '192.0.2' }],
    ['a reason that is none', { device: { trusted: false, reason: 'bad luck' } }],
    [
      'a reason that is none for a device',
      { device: { trusted: false, reason: 'trusted_device' } },
    ],
    ['a reason of a trusted device', { device: { trusted: true, reason: 'revoked' } }],
    ['a member that is unknown', { adress: '192.0.2.7' }],
    ['a time that is none', { at: 'tomorrow' }],
  ])('refuses %s', (_, given) => {
    expect(hypotheticalSignIn.safeParse({ user: 'ada', ...given }).success).toBe(false);
  });
});
