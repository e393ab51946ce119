import { createHash, type KeyObject } from 'node:crypto';
import { makeTestKey } from '@countersign/testkit/fake-authorities';
import type { FakeOrganization } from '@countersign/testkit/fake-organization';
import { encodePem } from '@countersign/x509';
import { objectBindings } from '../config/settings.ts';

/** A whole environment of good settings, for tests that spoil one of them. */

export const pkcs8 = (key: KeyObject) =>
  key.export({ format: 'der', type: 'pkcs8' }).toString('base64');
export const pem = (der: Uint8Array) => encodePem('CERTIFICATE', der);
/** An issuer's id. */
export const idOf = (der: Uint8Array) => createHash('sha256').update(der).digest('base64url');

export const decisionKey = makeTestKey();
export const mtlsEvidenceKey = makeTestKey();
export const auditKey = makeTestKey();
/** The bindings as they are on Cloudflare: secrets as text. */
export async function environmentOf(source: FakeOrganization): Promise<Record<string, unknown>> {
  source.auditKeys = [auditKey];
  return {
    ...Object.fromEntries(objectBindings.map((name) => [name, {}])),
    BROKER_URL: source.brokerUrl,
    ORGANIZATION_ID: source.organizationId,
    SHARD_COUNT: '64',
    OWNER_TOKEN_SHA256: createHash('sha256').update('owner').digest('base64url'),
    ROOT_CERTIFICATE: pem(source.root.certificate.der),
    ISSUER_CERTIFICATE: pem(source.issuer.certificate.der),
    KEY_SET: await source.signKeySet(),
    PUBLIC_KEYS: publicKeys(source),
    ISSUER_KEY: pkcs8(source.issuer.privateKey),
    CHALLENGE_KEY: pkcs8(source.challengeKey.privateKey),
    MTLS_EVIDENCE_KEY: pkcs8(mtlsEvidenceKey.privateKey),
    DECISION_KEY: pkcs8(decisionKey.privateKey),
    AUDIT_KEY: pkcs8(auditKey.privateKey),
    RESPONSE_KEY: pkcs8(source.responseKey.privateKey),
    DEVICE_ID_KEY: Buffer.alloc(32, 7).toString('base64url'),
    STORED_SECRETS_KEY: Buffer.alloc(32, 8).toString('base64url'),
  };
}

export const publicKeys = (source: FakeOrganization, change: Record<string, unknown> = {}) =>
  JSON.stringify({
    challenge: [source.challengeKey.publicJwk],
    mtls_evidence: [mtlsEvidenceKey.publicJwk],
    decision: [decisionKey.publicJwk],
    response_encryption: [source.responseKey.publicJwk],
    audit: [auditKey.publicJwk],
    ...change,
  });
