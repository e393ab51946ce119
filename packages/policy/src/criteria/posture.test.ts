import { describe, expect, it } from 'vitest';
import type { PostureFacts } from '../facts.ts';
import { type Platform, postureCondition } from '../policy-document.ts';
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
    expect(posture.seen(facts, [], condition)).toBe('disk_encryption: false (mdm), macos not said');
    const others = {
      diskEncryption: { device: true },
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
