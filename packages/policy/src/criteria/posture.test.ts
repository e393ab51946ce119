import { describe, expect, it } from 'vitest';
import type { PostureFacts } from '../facts.ts';
import { type Platform, platforms, postureCondition } from '../policy-document.ts';
import { goodFacts } from '../testing/facts.ts';
import type { Verdict } from './criterion.ts';
import { isAtLeast, posture } from './posture.ts';

const check = (condition: object, facts: PostureFacts, platform: Platform | 'unsaid' = 'macos') =>
  posture.check(
    postureCondition.parse(condition),
    { ...goodFacts, platform: platform === 'unsaid' ? undefined : platform, posture: facts },
    [],
  );

const on = { device: true };
const encrypted = { disk_encryption: true };
const macos = { minimum_os_version: { macos: '14.5' } };

describe('posture', () => {
  it.each<[object, PostureFacts, Verdict]>([
    [encrypted, { diskEncryption: on }, 'met'],
    [encrypted, { diskEncryption: { device: false } }, 'not_met'],
    [encrypted, {}, 'unknown'],
    [encrypted, { firewall: on, screenLock: on }, 'unknown'],
    [{ firewall: true }, { firewall: on }, 'met'],
    [{ firewall: true }, { firewall: { device: false }, diskEncryption: on }, 'not_met'],
    [{ screen_lock: true }, { screenLock: on }, 'met'],
    [{ screen_lock: true }, { screenLock: { mdm: false } }, 'not_met'],
    [{ ...encrypted, firewall: true }, { diskEncryption: on, firewall: on }, 'met'],
    [{ ...encrypted, firewall: true }, { diskEncryption: on }, 'unknown'],
    // One that is known to be wrong settles it.
    [{ ...encrypted, firewall: true }, { firewall: { device: false } }, 'not_met'],
    [{ ...encrypted, reported_by: 'device' }, { diskEncryption: { mdm: true } }, 'unknown'],
    [
      { ...encrypted, reported_by: 'device' },
      { diskEncryption: { device: true, mdm: false } },
      'met',
    ],
    [{ ...encrypted, reported_by: 'mdm' }, { diskEncryption: on }, 'unknown'],
    [{ ...encrypted, reported_by: 'mdm' }, { diskEncryption: { device: false, mdm: true } }, 'met'],
    [encrypted, { diskEncryption: { device: true, mdm: false } }, 'not_met'],
    [encrypted, { diskEncryption: { device: false, mdm: true } }, 'met'],
    [macos, { osVersion: { device: '14.5' } }, 'met'],
    [macos, { osVersion: { device: '14.4.9' } }, 'not_met'],
    [macos, { osVersion: { device: 'Sonoma' } }, 'unknown'],
    [macos, { osVersion: { device: '' } }, 'unknown'],
    [macos, {}, 'unknown'],
    [{ ...macos, reported_by: 'mdm' }, { osVersion: { device: '15' } }, 'unknown'],
    // A report from before managements named the platform.
    [{ ...macos, reported_by: 'mdm' }, { osVersion: { mdm: '15' } }, 'unknown'],
    [macos, { osVersion: { mdm: '15', device: '15' } }, 'unknown'],
    [macos, { osVersion: { mdm: '15' }, platform: { mdm: 'macos' } }, 'met'],
    [{ ...macos, reported_by: 'device' }, { osVersion: { mdm: '14', device: '15' } }, 'met'],
    [macos, { osVersion: {}, platform: { mdm: 'windows' } }, 'not_met'],
    [
      { ...macos, ...encrypted },
      { osVersion: { device: '15' }, diskEncryption: { device: false } },
      'not_met',
    ],
  ])('%j with %j: %s', (condition, facts, verdict) => {
    expect(check(condition, facts)).toBe(verdict);
  });

  it('is for the platforms whose versions are named', () => {
    const facts = { osVersion: { device: '99' } };
    expect(check(macos, facts, 'windows')).toBe('not_met');
    expect(check(macos, facts, 'unsaid')).toBe('unknown');
  });

  describe('of a device that forges its platform', () => {
    const minimum_os_version = {
      macos: '14.5',
      windows: '10.0.22000',
      other_desktop: '9',
      ios: '17',
      android: '14',
      other_mobile: '8',
    };
    const verdict = (
      reported_by: string,
      signedPlatform: Platform,
      managed: Platform | undefined,
      version: string,
    ) =>
      posture.check(
        postureCondition.parse({ minimum_os_version, reported_by }),
        {
          ...goodFacts,
          platform: signedPlatform,
          signedPlatform,
          posture: {
            platform: { mdm: managed },
            osVersion: { mdm: version, device: '99' },
          },
        },
        [],
      );

    it.each<[Platform, string, string]>([
      ['macos', '13.2', '14.5'],
      ['windows', '10.0.19045', '10.0.22000'],
      ['other_desktop', '8', '9'],
      ['ios', '16.7', '17'],
      ['android', '13', '14'],
      ['other_mobile', '7', '8'],
    ])("holds the management's version against the minimum of its %s", (managed, old, fresh) => {
      for (const reported_by of ['mdm', 'any']) {
        for (const signed of platforms) {
          expect(verdict(reported_by, signed, managed, old)).toBe('not_met');
          expect(verdict(reported_by, signed, managed, fresh)).toBe('met');
          expect(verdict(reported_by, signed, undefined, fresh)).toBe('unknown');
        }
      }
    });

    it("says whose platform it saw, and leaves the device's own word to the device", () => {
      expect(verdict('device', 'windows', 'macos', '13.2')).toBe('met');
      const facts = {
        ...goodFacts,
        signedPlatform: 'windows',
        posture: { platform: { mdm: 'macos' }, osVersion: { mdm: '13.2', device: '11' } },
      } as const;
      const seen = (reported_by: string) =>
        posture.seen(facts, [], postureCondition.parse({ minimum_os_version, reported_by }));
      expect(['mdm', 'any', 'device'].map(seen)).toEqual([
        'macos 13.2 (mdm)',
        'macos 13.2 (mdm)',
        'windows 11 (device)',
      ]);
      const unnamed = { ...facts, posture: { osVersion: { mdm: '13.2' } } };
      const condition = postureCondition.parse({ minimum_os_version, reported_by: 'mdm' });
      expect(posture.seen(unnamed, [], condition)).toBe('platform not said, version 13.2 (mdm)');
    });
  });

  it.each([
    ['14.5', '14.5', true],
    ['14.5.0', '14.5', true],
    ['14.5', '14.5.1', false],
    ['14.10', '14.9', true],
    ['10.0.19045', '10.0.22000', false],
    ['9', '10', false],
    ['15', '14.99.99', true],
  ])('takes %s for at least %s: %s', (version, minimum, isOne) => {
    expect(isAtLeast(version, minimum)).toBe(isOne);
  });

  it.each(['any', 'device', 'mdm'])(
    'takes nobody at their word about a device that is not trusted: %s',
    (reported_by) => {
      const deviceTrust = { trusted: false, reason: 'certificate_revoked' } as const;
      const check = (value: boolean) =>
        posture.check(
          postureCondition.parse({ ...encrypted, reported_by }),
          {
            ...goodFacts,
            deviceTrust,
            posture: { diskEncryption: { device: value, mdm: value } },
          },
          [],
        );
      expect([check(true), check(false)]).toEqual(['unknown', 'unknown']);
    },
  );

  it('says what was wanted, by whom, and what was reported', () => {
    const condition = postureCondition.parse({ ...encrypted, ...macos, reported_by: 'mdm' });
    expect(posture.wanted(condition)).toBe(
      'disk_encryption: true, macos 14.5 or newer, reported by mdm',
    );
    const facts = { ...goodFacts, posture: { diskEncryption: { mdm: false, device: true } } };
    expect(posture.seen(facts, [], condition)).toBe(
      'disk_encryption: false (mdm), platform not said, version not said',
    );
    const others = {
      diskEncryption: { device: true },
      platform: { mdm: 'macos' },
      osVersion: { mdm: '14.5', device: '15' },
    } as const;
    expect(
      posture.seen({ ...goodFacts, posture: others }, [], { ...condition, reported_by: 'any' }),
    ).toBe('disk_encryption: true (device), macos 14.5 (mdm)');
    expect(posture.wanted(postureCondition.parse({ firewall: true }))).toBe('firewall: true');
  });

  it('wants something', () => {
    expect(postureCondition.safeParse({}).success).toBe(false);
    expect(postureCondition.safeParse({ reported_by: 'mdm' }).success).toBe(false);
    expect(postureCondition.safeParse({ minimum_os_version: { macos: '14.x' } }).success).toBe(
      false,
    );
  });
});
