// policy-model.md says in which order reasons are looked at, and what each effect comes to.
import { evaluatePolicy, findingCodes, findMatch, policyDocument } from '@countersign/policy';
import { describe, expect, it } from 'vitest';
import {
  type CertificateFacts,
  deviceTrust,
  type TrustFacts,
} from '../worker/src/policy/device-trust.ts';
import { nameIn, readDocument, tableRows } from './support/documents.ts';

const document = readDocument('worker/docs/policy-model.md');
/** The first table after a text. */
function tableAfter(text: string): string[][] {
  const lines = document.slice(document.indexOf(text)).split('\n');
  const start = lines.findIndex((line) => line.startsWith('|'));
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return tableRows(lines.slice(start, end));
}

const nowMs = 1_800_000_000_000;

const knownFacts = {
  user: 'ada',
  groups: new Set<string>(),
  ipAddress: undefined,
  clientType: undefined,
  platform: undefined,
  signedPlatform: undefined,
  channel: 'none',
  keyProtection: 'none',
  posture: {},
  enrollmentStrength: 'none',
  certificateAgeSeconds: 'none',
  atMs: nowMs,
} as const;

it('findings are those of the code', () => {
  const told = tableAfter('<!-- findings -->').flatMap(([names = '', severity]) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, name]) => [name, severity]),
  );
  expect(Object.fromEntries(told)).toEqual(findingCodes);
});

describe('the order of reasons', () => {
  const everythingWrong: TrustFacts = {
    evidenceFailure: 'evidence_missing',
    challengeExpired: true,
    mtlsEvidenceExpired: true,
    certificates: [undefined],
    lineageMismatch: true,
    enrollmentStrengths: undefined,
    subject: 'ada',
    subjectInactive: false,
    subjectAuthenticated: false,
    tombstoneEpoch: 1,
    reservation: { ok: false, reason: 'subject_inactive' },
  };
  const worstCertificate = {
    status: 'revoked',
    notBeforeMs: nowMs + 1,
    notAfterMs: nowMs - 1,
    issuerActive: false,
    boundUser: 'bob',
    boundEpoch: 1,
    usableUntilMs: nowMs - 1,
    deviceBlocked: true,
    strength: 'organization_secret',
    integration: undefined,
  } as const;

  it('is that of the code', () => {
    let facts = everythingWrong;
    let certificate: CertificateFacts = worstCertificate;
    const repairs: (() => void)[] = [
      () => Object.assign(facts, { evidenceFailure: undefined }),
      () => Object.assign(facts, { challengeExpired: false }),
      () => Object.assign(facts, { mtlsEvidenceExpired: false }),
      () => Object.assign(facts, { certificates: [certificate] }),
      () => Object.assign(certificate, { deviceBlocked: false }),
      () => Object.assign(certificate, { status: 'suspended' }),
      () => Object.assign(certificate, { status: 'superseded' }),
      () => Object.assign(certificate, { status: 'issued' }),
      () => Object.assign(certificate, { notBeforeMs: nowMs }),
      () => Object.assign(certificate, { notAfterMs: nowMs }),
      () => Object.assign(certificate, { issuerActive: true }),
      () => Object.assign(certificate, { integration: { standing: 'device_trust_disabled' } }),
      () => Object.assign(certificate, { integration: { standing: 'disabled' } }),
      () => Object.assign(certificate, { integration: { standing: 'not_for_user' } }),
      () =>
        Object.assign(certificate, {
          integration: { standing: 'active', trustsSharedSecret: false },
        }),
      () => Object.assign(certificate, { strength: 'one_time_token' }),
      () => Object.assign(facts, { lineageMismatch: false }),
      () => Object.assign(certificate, { boundUser: 'ADA' }),
      () => Object.assign(certificate, { boundUser: 'ada' }),
      () => Object.assign(certificate, { boundUser: undefined }),
      () => Object.assign(facts, { subjectAuthenticated: true }),
      () => Object.assign(facts, { reservation: undefined }),
    ];
    facts = { ...facts };
    certificate = { ...certificate };
    const reasons = repairs.map((repair) => {
      const trust = deviceTrust(facts, nowMs);
      repair();
      return trust.trusted ? 'trusted' : trust.reason;
    });
    expect(deviceTrust(facts, nowMs)).toEqual({ trusted: true });
    const [first, ...others] = reasons;
    expect(first).toBe('evidence_missing');
    const [, ...rows] = tableAfter('<!-- trust -->');
    expect(rows.map((cells) => nameIn(cells[1]))).toEqual(others);
  });
});

it.each(tableAfter('| effect | device |'))(
  '%s, %s, %s: %s',
  (effect, device, enforcement, ...out) => {
    const [decision = '', reason = ''] = out;
    const trusts = [{ trusted: true }, { trusted: false, reason: 'host_exited' }] as const;
    const named = nameIn(enforcement);
    const enforcements = named === '' ? ['enforce', 'monitor'] : [named];
    const devices = trusts.filter(
      ({ trusted }) => device === 'any' || trusted === (device === 'trusted'),
    );
    expect(devices.length).toBe(device === 'any' ? 2 : 1);
    for (const [trust, each] of devices.flatMap((one) =>
      enforcements.map((other) => [one, other] as const),
    )) {
      const policy = policyDocument.parse({
        version: 1,
        enforcement: each,
        rules: [
          effect === 'step_up'
            ? { id: 'all', when: {}, effect, factor: { acr_values: ['phr'], amr_values: [] } }
            : { id: 'all', when: {}, effect },
        ],
        otherwise: effect === 'allow' ? 'deny' : 'allow',
      });
      const facts = { ...knownFacts, deviceTrust: trust };
      const found = evaluatePolicy(policy, (asked) => findMatch(policy, asked, []), facts);
      expect(found).toMatchObject({
        effect: decision === 'pending' ? 'step_up' : decision,
        reason: nameIn(reason) || 'host_exited',
        rule: 'all',
      });
    }
  },
);
