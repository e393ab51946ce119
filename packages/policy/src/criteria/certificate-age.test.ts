import { describe, expect, it } from 'vitest';
import { certificateAgeCondition } from '../policy-document.ts';
import { goodFacts } from '../testing/facts.ts';
import { certificateAge } from './certificate-age.ts';

const day = 86_400;
const check = (condition: object, certificateAgeSeconds: number | 'none') =>
  certificateAge.check(
    certificateAgeCondition.parse(condition),
    { ...goodFacts, certificateAgeSeconds },
    [],
  );

describe('certificate age', () => {
  it.each([
    [{ at_most_days: 10 }, 0, 'met'],
    [{ at_most_days: 10 }, 10 * day, 'met'],
    [{ at_most_days: 10 }, 10 * day + 1, 'not_met'],
    [{ at_least_days: 2 }, 2 * day, 'met'],
    [{ at_least_days: 2 }, 2 * day - 1, 'not_met'],
    [{ at_least_days: 2, at_most_days: 3 }, 2.5 * day, 'met'],
    [{ at_least_days: 2, at_most_days: 3 }, 4 * day, 'not_met'],
    [{ at_most_days: 10 }, 'none', 'not_met'],
    [{ at_least_days: 1 }, 'none', 'not_met'],
  ] as const)('%j at %s: %s', (condition, age, verdict) => {
    expect(check(condition, age)).toBe(verdict);
  });

  it('is not met by the certificate of a device that is not trusted', () => {
    const deviceTrust = { trusted: false, reason: 'certificate_expired' } as const;
    const facts = { ...goodFacts, deviceTrust };
    expect(certificateAge.check({ at_most_days: 10 }, facts, [])).toBe('not_met');
    expect(certificateAge.seen(facts, [], {})).toBe('none');
  });

  it('says what was wanted and seen', () => {
    expect(certificateAge.wanted({ at_least_days: 2, at_most_days: 3 })).toBe(
      'at least 2 days, at most 3 days',
    );
    expect(certificateAge.seen(goodFacts, [], {})).toBe('1.0 days');
    expect(certificateAge.seen({ ...goodFacts, certificateAgeSeconds: 'none' }, [], {})).toBe(
      'no certificate',
    );
  });

  it('has limits that leave something between them', () => {
    expect(certificateAgeCondition.safeParse({}).success).toBe(false);
    expect(certificateAgeCondition.safeParse({ at_least_days: 3, at_most_days: 3 }).success).toBe(
      false,
    );
  });
});
