import type { DecisionReason } from '@countersign/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CertificateFacts,
  certificateStanding,
  deviceTrust,
  type TrustFacts,
} from './device-trust.ts';

const now = 1_800_000_000_000;

const goodCertificate: CertificateFacts = {
  status: 'bound',
  notBeforeMs: now - 1000,
  notAfterMs: now + 1000,
  issuerActive: true,
  boundUser: 'ada',
};
const unbound = { ...goodCertificate, status: 'issued', boundUser: undefined } as const;

const goodFacts: TrustFacts = {
  evidenceFailure: undefined,
  challengeExpiresAtMs: now + 60_000,
  certificate: goodCertificate,
  subject: 'ada',
  subjectAuthenticated: true,
  bindingRefused: undefined,
};

/**
 * One fault for each reason, in the order in which they are given: whatever else is wrong as well, the first reason in
 * this list that applies is the one that is told.
 */
const faults: ReadonlyArray<readonly [DecisionReason, Partial<TrustFacts>]> = [
  ['response_signature_invalid', { evidenceFailure: 'response_signature_invalid' }],
  ['challenge_malformed', { challengeExpiresAtMs: undefined }],
  ['challenge_expired', { challengeExpiresAtMs: now - 1 }],
  ['certificate_unknown', { certificate: undefined }],
  ['certificate_bound_to_other_user', { subject: 'grace' }],
];

const certificateFaults: ReadonlyArray<readonly [DecisionReason, Partial<CertificateFacts>]> = [
  ['certificate_unknown', { status: 'intent' }],
  ['certificate_revoked', { status: 'revoked' }],
  ['certificate_superseded', { status: 'superseded' }],
  ['certificate_not_yet_valid', { notBeforeMs: now + 1 }],
  ['certificate_expired', { notAfterMs: now - 1 }],
  ['issuer_not_active', { issuerActive: false }],
];

describe('certificateStanding', () => {
  it('trusts a certificate in good standing, bound or not', () => {
    expect(certificateStanding(goodCertificate, now)).toEqual({ trusted: true });
    expect(certificateStanding(unbound, now)).toEqual({ trusted: true });
  });

  it('trusts from the first to the last millisecond of the validity period', () => {
    const brief = { ...goodCertificate, notBeforeMs: now, notAfterMs: now };
    expect(certificateStanding(brief, now)).toEqual({ trusted: true });
    expect(certificateStanding(brief, now - 1)).toMatchObject({ trusted: false });
    expect(certificateStanding(brief, now + 1)).toMatchObject({ trusted: false });
  });

  it('does not trust what is not on record', () => {
    expect(certificateStanding(undefined, now)).toEqual({
      trusted: false,
      reason: 'certificate_unknown',
    });
  });

  it.each(certificateFaults)('gives %s', (reason, fault) => {
    expect(certificateStanding({ ...goodCertificate, ...fault }, now)).toEqual({
      trusted: false,
      reason,
    });
  });

  it('gives the status before the dates, and the dates before the issuer', () => {
    const [unknown, revoked, superseded, notYet, expired, inactive] = certificateFaults;
    const late = { ...expired?.[1], ...inactive?.[1] };
    for (const [reason, fault] of [unknown, revoked, superseded].flatMap((one) =>
      one ? [one] : [],
    )) {
      expect(certificateStanding({ ...goodCertificate, ...late, ...fault }, now)).toEqual({
        trusted: false,
        reason,
      });
    }
    const early = { ...goodCertificate, ...notYet?.[1], ...inactive?.[1] };
    expect(certificateStanding(early, now)).toMatchObject({ reason: 'certificate_not_yet_valid' });
    expect(certificateStanding({ ...goodCertificate, ...late }, now)).toMatchObject({
      reason: 'certificate_expired',
    });
  });
});

describe('deviceTrust', () => {
  it('trusts a bound certificate of this subject, authenticated or not', () => {
    expect(deviceTrust(goodFacts, now)).toEqual({ trusted: true });
    expect(deviceTrust({ ...goodFacts, subjectAuthenticated: false }, now)).toEqual({
      trusted: true,
    });
  });

  it('trusts an unbound certificate of an authenticated subject', () => {
    expect(deviceTrust({ ...goodFacts, certificate: unbound }, now)).toEqual({ trusted: true });
  });

  it('trusts in the last millisecond of the challenge', () => {
    expect(deviceTrust({ ...goodFacts, challengeExpiresAtMs: now }, now)).toEqual({
      trusted: true,
    });
  });

  it.each<[DecisionReason, Partial<TrustFacts>]>([
    ...faults.map(([reason, fault]): [DecisionReason, Partial<TrustFacts>] => [reason, fault]),
    ['subject_not_authenticated', { certificate: unbound, subjectAuthenticated: false }],
    ['subject_inactive', { certificate: unbound, bindingRefused: 'subject_inactive' }],
    [
      'subject_not_authenticated',
      { certificate: unbound, subjectAuthenticated: false, bindingRefused: 'subject_inactive' },
    ],
    ...certificateFaults.map(([reason, fault]): [DecisionReason, Partial<TrustFacts>] => [
      reason,
      { certificate: { ...unbound, ...fault }, subjectAuthenticated: false },
    ]),
    ...certificateFaults.map(([reason, fault]): [DecisionReason, Partial<TrustFacts>] => [
      reason,
      { certificate: { ...goodCertificate, ...fault }, subject: 'grace' },
    ]),
  ])('gives %s', (reason, fault) => {
    expect(deviceTrust({ ...goodFacts, ...fault }, now)).toEqual({ trusted: false, reason });
  });

  it('gives the first reason that applies, whatever else is wrong', () => {
    for (const [index, [reason]] of faults.entries()) {
      const later = faults.slice(index).map(([, fault]) => fault);
      expect(deviceTrust(Object.assign({}, goodFacts, ...later.reverse()), now)).toEqual({
        trusted: false,
        reason,
      });
    }
  });

  it('compares users as they are written', () => {
    for (const subject of ['Ada', 'ada ', 'ada\u0000', 'аda', '', 'ad']) {
      expect(deviceTrust({ ...goodFacts, subject }, now)).toEqual({
        trusted: false,
        reason: 'certificate_bound_to_other_user',
      });
    }
  });

  it('trusts nothing but a live certificate of this subject or of nobody', () => {
    const instant = fc.constantFrom(now - 10, now - 1, now, now + 1, now + 10);
    const facts = fc.record({
      evidenceFailure: fc.constantFrom<DecisionReason | undefined>(undefined, 'evidence_missing'),
      challengeExpiresAtMs: fc.option(instant, { nil: undefined }),
      certificate: fc.option(
        fc.record({
          status: fc.constantFrom(
            'intent' as const,
            'issued' as const,
            'bound' as const,
            'superseded' as const,
            'revoked' as const,
          ),
          notBeforeMs: instant,
          notAfterMs: instant,
          issuerActive: fc.boolean(),
          boundUser: fc.constantFrom(undefined, 'ada', 'grace'),
        }),
        { nil: undefined },
      ),
      subject: fc.constantFrom('ada', 'grace'),
      subjectAuthenticated: fc.boolean(),
      bindingRefused: fc.constantFrom(undefined, 'subject_inactive' as const),
    });
    let trusted = 0;
    fc.assert(
      fc.property(facts, (given) => {
        if (!deviceTrust(given, now).trusted) return;
        trusted += 1;
        const { certificate } = given;
        expect(given.evidenceFailure).toBeUndefined();
        expect(given.challengeExpiresAtMs).toBeGreaterThanOrEqual(now);
        expect(['issued', 'bound']).toContain(certificate?.status);
        expect(certificate?.issuerActive).toBe(true);
        expect(certificate?.notBeforeMs).toBeLessThanOrEqual(now);
        expect(certificate?.notAfterMs).toBeGreaterThanOrEqual(now);
        if (certificate?.boundUser === undefined) {
          expect([given.subjectAuthenticated, given.bindingRefused]).toEqual([true, undefined]);
        } else expect(certificate.boundUser).toBe(given.subject);
      }),
      { seed: 20_261_121, numRuns: 5000 },
    );
    expect(trusted).toBeGreaterThan(20);
  });
});
