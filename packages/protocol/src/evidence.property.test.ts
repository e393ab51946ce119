import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packEvidence, unpackEvidence } from './evidence.ts';
import { unavailableCodes } from './reason-codes.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 2000);

const compact = fc.string({ unit: fc.constantFrom(...'AZaz09-_.'), minLength: 1, maxLength: 20 });
const evidenceParts = fc.record(
  {
    unverifiedChallenge: compact,
    unverifiedResponse: compact,
    unverifiedMtlsEvidence: compact,
    reportedUnavailable: fc.constantFrom(...unavailableCodes),
  },
  { requiredKeys: ['unverifiedChallenge'] },
);

describe('the evidence string', () => {
  it('gives back the parts that were packed', () => {
    fc.assert(
      fc.property(evidenceParts, (parts) => {
        expect(unpackEvidence(packEvidence(parts))).toEqual(parts);
      }),
      { seed, numRuns },
    );
  });

  it('has one spelling: what is taken is written the same again', () => {
    const pieces = fc.constantFrom(
      'v1',
      'v2',
      '~',
      '~~',
      '',
      'a.b.c',
      ' ',
      '\n',
      'é',
      ...unavailableCodes,
    );
    const text = fc.oneof(
      fc.array(pieces, { maxLength: 12 }).map((all) => all.join('')),
      fc.array(pieces, { minLength: 4, maxLength: 4 }).map((all) => ['v1', ...all].join('~')),
      fc.string({ maxLength: 20 }),
    );
    let taken = 0;
    fc.assert(
      fc.property(text, (evidence) => {
        const parts = unpackEvidence(evidence);
        if (parts === undefined) return;
        taken += 1;
        expect(packEvidence(parts)).toBe(evidence);
      }),
      { seed, numRuns },
    );
    expect(taken).toBeGreaterThan(0);
  });

  it('changes its parts or is refused when any character changes', () => {
    const character = fc.constantFrom(...'Aa0~.-_ \n=', 'é', '\u0000');
    fc.assert(
      fc.property(evidenceParts, fc.nat(), character, fc.nat(1), (parts, at, inserted, cut) => {
        const evidence = packEvidence(parts);
        const start = at % (evidence.length + 1);
        const changed = evidence.slice(0, start) + inserted + evidence.slice(start + cut);
        fc.pre(changed !== evidence);
        expect(unpackEvidence(changed)).not.toEqual(parts);
      }),
      { seed, numRuns },
    );
  });
});
