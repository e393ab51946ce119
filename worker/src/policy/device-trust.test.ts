import type { DecisionReason } from '@countersign/protocol';
import { enrollmentStrengths } from '@countersign/protocol/enrollment-strength';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CertificateFacts,
  certificateStanding,
  deviceTrust,
  type TrustFacts,
} from './device-trust.ts';
import type { IntegrationStanding } from './integration-standing.ts';

const now = 1_800_000_000_000;
const statuses = ['intent', 'issued', 'bound', 'superseded', 'suspended', 'revoked'] as const;

const goodCertificate: CertificateFacts = {
  status: 'bound',
  notBeforeMs: now - 1000,
  notAfterMs: now + 1000,
  issuerActive: true,
  boundUser: 'ada',
  boundEpoch: 3,
  usableUntilMs: undefined,
  deviceBlocked: false,
  strength: 'one_time_token',
  integration: { id: '', standing: 'active', trustsSharedSecret: false, maxReportAgeMs: 0 },
};
const unbound: CertificateFacts = {
  ...goodCertificate,
  status: 'issued',
  boundUser: undefined,
  boundEpoch: undefined,
};

const goodFacts: TrustFacts = {
  evidenceFailure: undefined,
  challengeExpired: false,
  mtlsEvidenceExpired: false,
  certificates: [goodCertificate],
  lineageMismatch: false,
  enrollmentStrengths: undefined,
  subject: 'ada',
  subjectInactive: false,
  subjectAuthenticated: true,
  tombstoneEpoch: 2,
  reservation: undefined,
};

const refused = { ok: false, reason: 'subject_inactive' } as const;

/**
 * One fault for each reason, in the order in which they are given: whatever else is wrong as well, the first reason in
 * this list that applies is the one that is told.
 */
const faults: ReadonlyArray<readonly [DecisionReason, Partial<TrustFacts>]> = [
  ['response_signature_invalid', { evidenceFailure: 'response_signature_invalid' }],
  ['challenge_expired', { challengeExpired: true }],
  ['mtls_evidence_expired', { mtlsEvidenceExpired: true }],
  ['certificate_unknown', { certificates: [undefined] }],
  ['enrollment_strength_insufficient', { enrollmentStrengths: ['hardware_attested'] }],
  ['evidence_lineage_mismatch', { lineageMismatch: true }],
  ['certificate_bound_to_other_user', { subject: 'grace' }],
  ['certificate_bound_to_other_spelling', { subject: 'ADA' }],
  ['user_revoked', { tombstoneEpoch: 3 }],
  ['subject_inactive', { subjectInactive: true }],
];

const integration = (standing: IntegrationStanding['standing']) => ({
  id: 'int_1',
  standing,
  trustsSharedSecret: false,
  maxReportAgeMs: 0,
});

const certificateFaults: ReadonlyArray<readonly [DecisionReason, Partial<CertificateFacts>]> = [
  ['certificate_unknown', { status: 'intent' }],
  ['device_blocked', { deviceBlocked: true }],
  ['certificate_revoked', { status: 'revoked' }],
  ['certificate_suspended', { status: 'suspended' }],
  ['certificate_superseded', { status: 'superseded' }],
  ['certificate_not_yet_valid', { notBeforeMs: now + 1 }],
  ['certificate_expired', { notAfterMs: now - 1 }],
  ['issuer_not_active', { issuerActive: false }],
  ['integration_deleted', { integration: undefined }],
  ['device_trust_disabled', { integration: integration('device_trust_disabled') }],
  ['integration_disabled', { integration: integration('disabled') }],
  ['integration_not_for_user', { integration: integration('not_for_user') }],
  [
    'enrollment_strength_insufficient',
    { strength: 'organization_secret', integration: integration('active') },
  ],
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

  it('trusts a certificate that was replaced until its overlap ends', () => {
    const replaced = { ...goodCertificate, status: 'superseded', usableUntilMs: now } as const;
    expect(certificateStanding(replaced, now)).toEqual({ trusted: true });
    expect(certificateStanding(replaced, now + 1)).toEqual({
      trusted: false,
      reason: 'certificate_superseded',
    });
  });

  it('trusts what was enrolled with a shared secret where its integration is told to', () => {
    const trusting = { ...integration('active'), trustsSharedSecret: true };
    const strength = 'organization_secret' as const;
    const shared = { ...goodCertificate, strength, integration: trusting };
    expect(certificateStanding(shared, now)).toEqual({ trusted: true });
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
    const [unknown, blocked, revoked, suspended, superseded, notYet, expired, inactive] =
      certificateFaults;
    const late = { ...expired?.[1], ...inactive?.[1] };
    const statusFaults = [unknown, blocked, revoked, suspended, superseded];
    for (const [reason, fault] of statusFaults.flatMap((one) => (one ? [one] : []))) {
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
    expect(deviceTrust({ ...goodFacts, certificates: [unbound] }, now)).toEqual({ trusted: true });
  });

  it('trusts two certificates of one lineage, bound to the subject or not yet', () => {
    for (const certificates of [
      [goodCertificate, goodCertificate],
      [unbound, unbound],
      [unbound, goodCertificate],
    ]) {
      expect(deviceTrust({ ...goodFacts, certificates }, now)).toEqual({ trusted: true });
    }
  });

  it('trusts under an epoch that is newer than the tombstone', () => {
    const reserved = { certificates: [unbound], reservation: { ok: true, epoch: 3 } } as const;
    expect(deviceTrust({ ...goodFacts, ...reserved }, now)).toEqual({ trusted: true });
    expect(deviceTrust({ ...goodFacts, ...reserved, tombstoneEpoch: 3 }, now)).toEqual({
      trusted: false,
      reason: 'user_revoked',
    });
  });

  it.each<[DecisionReason, Partial<TrustFacts>]>([
    ...faults.map(([reason, fault]): [DecisionReason, Partial<TrustFacts>] => [reason, fault]),
    ['evidence_missing', { certificates: [] }],
    ['subject_not_authenticated', { certificates: [unbound], subjectAuthenticated: false }],
    ['subject_inactive', { certificates: [unbound], reservation: refused }],
    ['subject_inactive', { certificates: [unbound], subjectInactive: true }],
    ['subject_inactive', { certificates: [goodCertificate, unbound], reservation: refused }],
    [
      'user_revoked',
      { certificates: [goodCertificate, unbound], reservation: { ok: true, epoch: 2 } },
    ],
    [
      'subject_not_authenticated',
      { certificates: [unbound], subjectAuthenticated: false, reservation: refused },
    ],
    ...certificateFaults.map(([reason, fault]): [DecisionReason, Partial<TrustFacts>] => [
      reason,
      { certificates: [goodCertificate, { ...goodCertificate, ...fault }] },
    ]),
    [
      'certificate_bound_to_other_user',
      { certificates: [unbound, { ...goodCertificate, boundUser: 'grace' }] },
    ],
    ...certificateFaults.map(([reason, fault]): [DecisionReason, Partial<TrustFacts>] => [
      reason,
      { certificates: [{ ...unbound, ...fault }], subjectAuthenticated: false },
    ]),
    ...certificateFaults.map(([reason, fault]): [DecisionReason, Partial<TrustFacts>] => [
      reason,
      { certificates: [{ ...goodCertificate, ...fault }], subject: 'grace' },
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

  it('says user_revoked to a user whose bindings ended, and to nobody else', () => {
    const revoked = { ...goodCertificate, status: 'revoked' } as const;
    const ended = { ...goodFacts, tombstoneEpoch: 3, certificates: [revoked] };
    expect(deviceTrust(ended, now)).toEqual({ trusted: false, reason: 'user_revoked' });
    for (const change of [{ subject: 'grace' }, { tombstoneEpoch: 2 }]) {
      expect(deviceTrust({ ...ended, ...change }, now)).toEqual({
        trusted: false,
        reason: 'certificate_revoked',
      });
    }
  });

  it('compares users as they are written', () => {
    const reasonOf = (subject: string) => deviceTrust({ ...goodFacts, subject }, now);
    for (const subject of ['ada\u0000', 'аda', '', 'ad']) {
      expect(reasonOf(subject)).toEqual({
        trusted: false,
        reason: 'certificate_bound_to_other_user',
      });
    }
    // Trusted as little, and told what it is about.
    for (const subject of ['Ada', 'ada ', '\uff41da']) {
      expect(reasonOf(subject)).toEqual({
        trusted: false,
        reason: 'certificate_bound_to_other_spelling',
      });
    }
  });

  it('trusts nothing but live certificates of this subject or of nobody', () => {
    const instant = fc.constantFrom(now - 10, now - 1, now, now + 1, now + 10);
    const seldom = fc.constantFrom(false, false, false, true);
    const certificate = fc.option(
      fc.record({
        status: fc.constantFrom(...statuses),
        notBeforeMs: instant,
        notAfterMs: instant,
        issuerActive: fc.boolean(),
        boundUser: fc.constantFrom(undefined, 'ada', 'grace'),
        boundEpoch: fc.constantFrom(undefined, 1, 2, 3),
        usableUntilMs: fc.constantFrom(undefined, now - 1, now, now),
        deviceBlocked: seldom,
        strength: fc.constantFrom(...enrollmentStrengths, 'one_time_token' as const),
        integration: fc.constantFrom(
          ...Array(6).fill(integration('active')),
          { ...integration('active'), trustsSharedSecret: true },
          integration('disabled'),
          integration('not_for_user'),
          undefined,
        ),
      }),
      { nil: undefined },
    );
    const facts = fc.record({
      evidenceFailure: fc.constantFrom<DecisionReason | undefined>(
        undefined,
        undefined,
        undefined,
        'evidence_missing',
      ),
      challengeExpired: seldom,
      mtlsEvidenceExpired: seldom,
      certificates: fc.array(certificate, { maxLength: 2 }),
      lineageMismatch: seldom,
      enrollmentStrengths: fc.constantFrom(
        undefined,
        undefined,
        [...enrollmentStrengths],
        ['hardware_attested' as const],
      ),
      subject: fc.constantFrom('ada', 'grace'),
      subjectInactive: seldom,
      subjectAuthenticated: fc.boolean(),
      tombstoneEpoch: fc.constantFrom(0, 1, 2),
      reservation: fc.constantFrom(
        undefined,
        refused,
        { ok: true, epoch: 1 } as const,
        { ok: true, epoch: 3 } as const,
      ),
    });
    let trusted = 0;
    fc.assert(
      fc.property(facts, (given) => {
        if (!deviceTrust(given, now).trusted) return;
        trusted += 1;
        expect(given.evidenceFailure).toBeUndefined();
        const { challengeExpired, mtlsEvidenceExpired, lineageMismatch, subjectInactive } = given;
        expect([challengeExpired, mtlsEvidenceExpired, lineageMismatch, subjectInactive]).toEqual(
          Array(4).fill(false),
        );
        expect(given.certificates.length).toBeGreaterThan(0);
        for (const each of given.certificates) {
          if (each?.status === 'superseded') {
            expect(each.usableUntilMs).toBeGreaterThanOrEqual(now);
          } else {
            expect(['issued', 'bound']).toContain(each?.status);
          }
          if (given.enrollmentStrengths !== undefined) {
            expect(given.enrollmentStrengths).toContain(given.certificates[0]?.strength);
          }
          expect(each?.deviceBlocked).toBe(false);
          expect(each?.integration?.standing).toBe('active');
          if (each?.strength === 'organization_secret') {
            expect(each.integration?.trustsSharedSecret).toBe(true);
          }
          expect(each?.issuerActive).toBe(true);
          expect(each?.notBeforeMs).toBeLessThanOrEqual(now);
          expect(each?.notAfterMs).toBeGreaterThanOrEqual(now);
          if (each?.boundUser === undefined) continue;
          expect(each.boundUser).toBe(given.subject);
          expect(each.boundEpoch).toBeGreaterThan(given.tombstoneEpoch);
        }
        expect(given.reservation?.ok).not.toBe(false);
        if (given.certificates[0]?.boundUser === undefined) {
          expect(given.subjectAuthenticated).toBe(true);
        }
        if (given.reservation?.ok === true) {
          expect(given.reservation.epoch).toBeGreaterThan(given.tombstoneEpoch);
        }
      }),
      { seed: 20_261_121, numRuns: 30_000 },
    );
    // Of so many facts few are all good.
    expect(trusted).toBeGreaterThan(5);
  });
});
