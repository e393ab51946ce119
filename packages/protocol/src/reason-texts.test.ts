import { describe, expect, it } from 'vitest';
import {
  allowCodes,
  commandCodes,
  enrollmentLimitText,
  policyDenialCodes,
  problemCodes,
  unavailableCodes,
  verificationCodes,
} from './reason-codes.ts';
import { reasonTexts } from './reason-texts.ts';

const denials = [...unavailableCodes, ...verificationCodes, ...policyDenialCodes];
const all = [...denials, ...allowCodes, ...problemCodes, ...commandCodes];

/** Words that tell a person what to do next. */
const instruction =
  /\b(Ask|Try|Reload|Restart|Open|Use|Sign in|Do not|Update|Wait|Start|Connect|Set|Check|Go back)\b/i;

describe('reasonTexts', () => {
  it('has exactly the codes that there are', () => {
    expect(Object.keys(reasonTexts).sort()).toEqual([...new Set(all)].sort());
  });

  it.each([...new Set(all)])('%s has two whole texts', (code) => {
    const { administrator, person } = reasonTexts[code];
    for (const text of [administrator, person]) {
      expect(text).toBe(text.trim());
      expect(text.length).toBeGreaterThan(15);
      expect(text).not.toMatch(/\s{2}|undefined|null|TODO|\$\{/);
    }
    // The administrator's text of the limit is searched for in logs, and exact.
    if (administrator !== enrollmentLimitText) expect(administrator).toMatch(/[.!?]$/);
    expect(person).toMatch(/[.!?]$/);
    // A code is for machines; a person reads sentences.
    expect(person).not.toMatch(/[a-z]_[a-z]/);
  });

  it.each([...denials, ...problemCodes, ...commandCodes])(
    '%s tells the person what to do',
    (code) => {
      expect(reasonTexts[code].person).toMatch(instruction);
    },
  );

  it('says the enrollment limit in the words that are searched for', () => {
    expect(reasonTexts.enrollment_limit_reached.administrator).toBe(
      'Maximum enrollment limit of 5 certificates for a device is reached',
    );
  });

  it('never tells a person to go on where a page may be a trap', () => {
    for (const code of [
      'origin_not_allowed',
      'response_wrong_origin',
      'extension_origin_not_allowed',
    ] as const) {
      expect(reasonTexts[code].person).toMatch(/Do not enter your password/);
    }
  });
});
