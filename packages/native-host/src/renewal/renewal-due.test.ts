import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { beforeAll, describe, expect, it } from 'vitest';
import { isRenewalDue, renewAfterSeconds, retryAfterSeconds } from './renewal-due.ts';

const now = 1_800_000_000;
let leafCertificate: Uint8Array;

beforeAll(async () => {
  const organization = await FakeOrganization.create();
  leafCertificate = await organization.issueCertificate(makeTestKey().spki, 'A'.repeat(22));
});

const due = (at: number, attempts?: { failures: number; lastAtSeconds: number }) =>
  isRenewalDue({ leafCertificate, renewAfterSeconds: now }, attempts, at);

describe('a renewal', () => {
  it('is due from the moment that the broker said', () => {
    expect(due(now - 1)).toBe(false);
    expect(due(now)).toBe(true);
  });

  it('without the broker’s word is due thirty days before the end at the earliest', () => {
    const after = renewAfterSeconds({ leafCertificate });
    expect(isRenewalDue({ leafCertificate }, undefined, after - 1)).toBe(false);
    expect(isRenewalDue({ leafCertificate }, undefined, after)).toBe(true);
  });

  it('of a certificate that cannot be read is due', () => {
    expect(isRenewalDue({ leafCertificate: new Uint8Array(3) }, undefined, now)).toBe(true);
  });

  it.each([
    [1, 900],
    [2, 1800],
    [5, 14_400],
    [8, 86_400],
    [1000, 86_400],
  ])('that failed %i times is tried again after %i seconds', (failures, seconds) => {
    expect(retryAfterSeconds(failures)).toBe(seconds);
    const attempts = { failures, lastAtSeconds: now };
    expect(due(now + seconds - 1, attempts)).toBe(false);
    expect(due(now + seconds, attempts)).toBe(true);
  });

  it('is due at once, but for the wait after a failure, while a change of keys is open', () => {
    const attempts = { failures: 1, lastAtSeconds: now - 5000, rekeyIsOpen: true };
    expect(
      isRenewalDue({ leafCertificate, renewAfterSeconds: now }, attempts, now - 5000 + 899),
    ).toBe(false);
    expect(
      isRenewalDue({ leafCertificate, renewAfterSeconds: now }, attempts, now - 5000 + 900),
    ).toBe(true);
  });

  it('waits for no try that a clock which went back has put into the future', () => {
    expect(due(now, { failures: 3, lastAtSeconds: now + 1 })).toBe(true);
  });
});
