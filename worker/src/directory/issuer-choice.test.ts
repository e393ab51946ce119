import { describe, expect, it } from 'vitest';
import { issuingIssuer, trustedIssuers } from './issuer-choice.ts';

const [one, two] = [{ issuerId: 'one' }, { issuerId: 'two' }];
const both = [one, two];

describe('the issuer of new certificates', () => {
  it.each([
    ['the first one, until another is activated', undefined, [], one],
    ['the one that was activated', 'two', [], two],
    ['the other one, once the first is retired', undefined, ['one'], two],
    ['none, when the one that was activated is not configured', 'three', [], undefined],
    ['none, when the one that was activated is retired', 'two', ['two'], undefined],
    ['none, when all are retired', undefined, ['one', 'two'], undefined],
  ])('is %s', (_, issuing, retired, expected) => {
    expect(issuingIssuer(both, { issuing, retired })).toBe(expected);
  });
});

describe('issuers whose certificates count', () => {
  it('are all that are configured and not retired', () => {
    expect(trustedIssuers(both, { retired: [] })).toEqual(both);
    expect(trustedIssuers(both, { retired: ['one', 'earlier'] })).toEqual([two]);
  });
});
