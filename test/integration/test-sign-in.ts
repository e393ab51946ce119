import { requestFacts } from '@countersign/policy';
import { encodeBase64url } from '@countersign/protocol';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { SignIn } from '../../worker/src/device/sign-in.ts';
import { trustedDevicesOnly } from '../../worker/src/policy/simple-policy.ts';

/** 16 random bytes, as challenges and decisions are named. */
export const randomId = () => encodeBase64url(crypto.getRandomValues(new Uint8Array(16)));

/** A sign-in as the Worker hands it to a shard, here one whose challenge opened and that has no evidence. */
export function signInWithoutEvidence(client: TestClient, change: Partial<SignIn> = {}): SignIn {
  return {
    clientId: client.clientId,
    subjectType: 'user',
    subject: 'ada',
    resourceType: 'application',
    application: client.application,
    action: 'sign_in',
    subjectAuthenticated: true,
    transactionHash: randomId(),
    requestHash: randomId(),
    evidenceHash: randomId(),
    completion: undefined,
    challenge: { id: randomId(), expiresAtMs: Date.now() + 60_000 },
    shardOfCertificate: false,
    evidence: { ok: false, reason: 'evidence_missing' },
    originRegistered: false,
    snapshot: { version: 1, readAtMs: Date.now() },
    policy: trustedDevicesOnly(1, 'enforce'),
    facts: requestFacts('ada', new Set(), {}, 'none', undefined),
    structuralDenial: undefined,
    activeIssuerIds: [],
    integrations: [{ id: '', standing: 'active', trustsSharedSecret: false, maxReportAgeMs: 0 }],
    reservation: undefined,
    ...change,
  };
}
