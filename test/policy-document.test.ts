// policy-model.md says in which order reasons are looked at, and what each effect comes to.
import { describe, expect, it } from 'vitest';
import { deviceTrust, type TrustFacts } from '../worker/src/policy/device-trust.ts';
import { evaluatePolicy } from '../worker/src/policy/evaluate.ts';
import { policyDocument } from '../worker/src/policy/policy-document.ts';
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

describe('the order of reasons', () => {
  const everythingWrong: TrustFacts = {
    evidenceFailure: 'evidence_missing',
    challengeExpiresAtMs: nowMs - 1,
    certificate: undefined,
    subject: 'ada',
    subjectAuthenticated: false,
    bindingRefused: 'subject_inactive',
  };
  const worstCertificate = {
    status: 'revoked',
    notBeforeMs: nowMs + 1,
    notAfterMs: nowMs - 1,
    issuerActive: false,
    boundUser: 'bob',
  } as const;

  it('is that of the code', () => {
    let facts = everythingWrong;
    let certificate: NonNullable<TrustFacts['certificate']> = worstCertificate;
    const repairs: (() => void)[] = [
      () => Object.assign(facts, { evidenceFailure: undefined }),
      () => Object.assign(facts, { challengeExpiresAtMs: nowMs }),
      () => Object.assign(facts, { certificate }),
      () => Object.assign(certificate, { status: 'superseded' }),
      () => Object.assign(certificate, { status: 'issued' }),
      () => Object.assign(certificate, { notBeforeMs: nowMs }),
      () => Object.assign(certificate, { notAfterMs: nowMs }),
      () => Object.assign(certificate, { issuerActive: true }),
      () => Object.assign(certificate, { boundUser: undefined }),
      () => Object.assign(facts, { subjectAuthenticated: true }),
      () => Object.assign(facts, { bindingRefused: undefined }),
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
    const trust =
      device === 'trusted'
        ? ({ trusted: true } as const)
        : ({ trusted: false, reason: 'host_exited' } as const);
    const named = nameIn(enforcement);
    for (const each of named === '' ? ['enforce', 'monitor'] : [named]) {
      const policy = policyDocument.parse({
        version: 1,
        enforcement: each,
        rules: [{ id: 'all', when: {}, effect }],
        otherwise: effect === 'allow' ? 'deny' : 'allow',
      });
      expect(evaluatePolicy(policy, trust)).toEqual({
        decision: decision === 'allow',
        reason: nameIn(reason) || 'host_exited',
        rule: 'all',
      });
    }
  },
);
