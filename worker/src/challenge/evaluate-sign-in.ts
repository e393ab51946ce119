import { createHash } from 'node:crypto';
import {
  type AssertedFactor,
  type CheckedCriterion,
  explainRecord,
  groupsIn,
  requestFacts,
} from '@countersign/policy';
import type { DecisionReason } from '@countersign/protocol';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import { decisionTokenTyp } from '@countersign/protocol/decision-token';
import {
  actionSignIn,
  type EvaluationRequest,
  resourceTypeApplication,
  subjectTypeUser,
} from '@countersign/protocol/evaluation';
import canonicalize from 'canonicalize';
import { shardOfBytes, shardOfId } from '../device/placement.ts';
import type { DecideResult, Evidence, SignIn } from '../device/sign-in.ts';
import { type ConfiguredIssuer, trustedIssuers } from '../directory/issuer-choice.ts';
import type {
  OrganizationSnapshot,
  ReadSnapshot,
  RegisteredClient,
} from '../directory/organization-snapshot.ts';
import { compiledPolicy } from '../policy/compiled-policies.ts';
import { integrationStandings } from '../policy/integration-standing.ts';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import { encodeHeader, signCompactJws } from '../token/compact-jws.ts';
import type { SigningKeys, TokenKey } from '../token/token-key.ts';
import { hashTransaction } from './issue-challenge.ts';
import type { IssuedChallenges } from './issued-challenges.ts';
import type { PresentedCertificates } from './presented-certificate.ts';
import { type VerifiedEvidence, verifyEvidence } from './verify-evidence.ts';

/** `ok: false` when the shard could not record anything. */
type DecideAnswer = DecideResult | StorageUnavailable;

/** What the use case needs of the world, as functions. */
export type EvaluateContext = {
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly shardCount: number;
  /** All that are configured; which of them count follows from the snapshot. */
  readonly issuers: ReadonlyArray<Pick<ConfiguredIssuer, 'issuerId'>>;
  readonly challengeKeys: SigningKeys;
  readonly mtlsEvidenceKeys: SigningKeys;
  readonly responseKeys: readonly TokenKey[];
  readonly decisionKeys: SigningKeys;
  readonly presentedCertificates: PresentedCertificates;
  readonly issuedChallenges: IssuedChallenges;
  readonly decide: (shard: number, signIn: SignIn) => Promise<DecideAnswer>;
  readonly reserveBinding: (
    userId: string,
    shard: number,
  ) => Promise<
    | { readonly ok: true; readonly epoch: number; readonly sinceMs: number }
    | { readonly ok: false; readonly code: 'subject_inactive' | 'storage_unavailable' }
  >;
  /** A newer snapshot; `undefined` when none can be had. */
  readonly refreshSnapshot: () => Promise<ReadSnapshot | undefined>;
};

export type EvaluateResult =
  | {
      readonly ok: true;
      readonly record: DecisionRecord;
      readonly decisionToken: string | undefined;
      /** What the rule that decided asked for, and what it saw; `undefined` where no rule did. */
      readonly criteria: readonly CheckedCriterion[] | undefined;
    }
  | {
      readonly ok: false;
      readonly code: 'rate_limited' | 'storage_unavailable' | 'snapshot_unavailable';
    };

/** Denials that no evidence can mend, in this order. */
function findStructuralDenial(
  request: EvaluationRequest,
  client: RegisteredClient,
  snapshot: OrganizationSnapshot,
): DecisionReason | undefined {
  if (
    request.subject.type !== subjectTypeUser ||
    request.resource.type !== resourceTypeApplication
  ) {
    return 'subject_type_unknown';
  }
  if (request.action.name !== actionSignIn) return 'action_unknown';
  if (!snapshot.applications.has(request.resource.id)) return 'application_unknown';
  if (!client.applications.includes(request.resource.id)) {
    return 'client_not_allowed_for_application';
  }
  return snapshot.inactiveUsers.has(request.subject.id) ? 'subject_inactive' : undefined;
}

function sha256Text(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('base64url');
}

/** What was verified, as the shard takes it: without what only the verification needed. */
function evidenceOf({ evidence }: VerifiedEvidence): Evidence {
  if (!evidence.ok) return evidence;
  const { response, mtls, reportedUnavailable } = evidence;
  return {
    ok: true,
    response:
      response === undefined
        ? undefined
        : { certificateSha256: response.presented.sha256, claims: response.claims },
    mtls:
      mtls === undefined
        ? undefined
        : {
            certificateSha256: mtls.certificateSha256,
            origin: mtls.origin,
            expiresAtMs: mtls.expiresAtMs,
          },
    reportedUnavailable,
  };
}

/**
 * One sign-in: verify the evidence, have it decided and recorded in the shard that it belongs to, sign the outcome.
 *
 * The shard follows from the certificate's device id where evidence verified and the certificate is on record there,
 * from the challenge id where the challenge opened, and from the client where nothing did. A client that was
 * unregistered between two snapshots is the caller's to refuse.
 *
 * @param completion present when the request completes a pending decision (its members are part of what a retry repeats)
 */
export async function evaluateSignIn(
  context: EvaluateContext,
  client: RegisteredClient,
  request: EvaluationRequest,
  read: ReadSnapshot,
  completion?: AssertedFactor,
): Promise<EvaluateResult> {
  const transactionHash = hashTransaction(request.context.transaction);
  const verified = await verifyEvidence(
    request.context.evidence,
    {
      brokerUrl: context.brokerUrl,
      organizationId: context.organizationId,
      clientId: client.client_id,
      transactionHash,
      keys: context.challengeKeys.accepted,
      issuedChallenges: context.issuedChallenges,
    },
    {
      responseKeys: context.responseKeys,
      mtlsEvidenceKeys: context.mtlsEvidenceKeys.accepted,
      certificates: context.presentedCertificates,
    },
  );
  const { challenge } = verified;
  const evidence = evidenceOf(verified);
  const claimedDeviceId = verified.evidence.ok
    ? (verified.evidence.response?.presented.claimedDeviceId ??
      verified.evidence.mtls?.claimedDeviceId)
    : undefined;
  const shardOfCertificate =
    claimedDeviceId === undefined ? undefined : shardOfId(claimedDeviceId, context.shardCount);
  const shardWithout =
    (challenge === undefined ? undefined : shardOfId(challenge.jti, context.shardCount)) ??
    shardOfBytes(
      createHash('sha256').update(client.client_id, 'utf8').digest(),
      context.shardCount,
    );
  const origin = evidence.ok
    ? (evidence.response?.claims.origin ?? evidence.mtls?.origin)
    : undefined;
  // RFC 8785: two requests are the same when their canonical forms are.
  const requestHash = sha256Text(
    canonicalize(completion === undefined ? request : { ...request, ...completion }) ?? '',
  );
  const evidenceHash = sha256Text(request.context.evidence ?? '');

  const signInWith = ({ snapshot, readAtMs }: ReadSnapshot): SignIn => {
    const registered = snapshot.clients.get(client.client_id) ?? {
      ...client,
      applications: [],
      origins: [],
    };
    return {
      clientId: client.client_id,
      subjectType: request.subject.type,
      subject: request.subject.id,
      resourceType: request.resource.type,
      application: request.resource.id,
      action: request.action.name,
      subjectAuthenticated: request.context.subject_authenticated,
      transactionHash,
      requestHash,
      evidenceHash,
      completion,
      challenge:
        challenge === undefined
          ? undefined
          : { id: challenge.jti, expiresAtMs: challenge.exp * 1000 },
      shardOfCertificate: shardOfCertificate !== undefined,
      evidence,
      originRegistered: origin !== undefined && registered.origins.includes(origin),
      snapshot: { version: snapshot.version, readAtMs },
      ...policyFor(snapshot, request, evidence),
      structuralDenial: findStructuralDenial(request, registered, snapshot),
      integrations: integrationStandings(snapshot, request.subject.id),
      activeIssuerIds: trustedIssuers(context.issuers, snapshot.issuers).map(
        ({ issuerId }) => issuerId,
      ),
      reservation: undefined,
    };
  };

  const shards = { shardOfCertificate, shardWithout };
  const answer = await decideWithFacts(context, shards, signInWith, read);
  if (!answer.ok) return answer;
  return {
    ok: true,
    record: answer.record,
    decisionToken: await signDecision(context, answer.record),
    criteria: explainAnswer(answer.record, answer.snapshot),
  };
}

/** A retry may be answered by an organization that is no more; then nothing is told of its rules. */
function explainAnswer(
  record: DecisionRecord,
  { applications, zones, version }: OrganizationSnapshot,
): readonly CheckedCriterion[] | undefined {
  const policy = applications.get(record.application)?.policy;
  return record.organization_version === version && policy !== undefined
    ? explainRecord(record, policy, zones)?.map(withoutPosture)
    : undefined;
}

/** No sign-in server learns how a device is kept: administrators have it in the record. */
const withoutPosture = (checked: CheckedCriterion): CheckedCriterion =>
  checked.criterion === 'posture' ? { ...checked, seen: 'in the record' } : checked;

/** The application's policy as it is for this request, with what the request is known by. */
function policyFor(
  { applications, groups, zones }: OrganizationSnapshot,
  { subject, resource, context: asserted }: EvaluationRequest,
  evidence: Evidence,
): Pick<SignIn, 'policy' | 'facts'> {
  const policy = applications.get(resource.id)?.policy;
  const named = policy === undefined ? [] : [...groupsIn(policy)];
  const ofUser = named.filter((group) => groups.get(group)?.has(subject.id) === true);
  const { response, mtls } = evidence.ok ? evidence : {};
  const single = response === undefined ? 'mtls' : 'extension';
  const both = response !== undefined && mtls !== undefined;
  const none = response === undefined && mtls === undefined;
  const channel = none ? 'none' : both ? 'both' : single;
  const facts = requestFacts(subject.id, new Set(ofUser), asserted, channel, response?.claims);
  return {
    facts,
    policy: policy === undefined ? undefined : compiledPolicy(policy, zones).forRequest(facts),
  };
}

type Shards = {
  /** Named by the certificate in the response, when there is one. */
  readonly shardOfCertificate: number | undefined;
  /** Of the challenge, or of the client: for what no device of ours has answered. */
  readonly shardWithout: number;
};

/** At most one refresh of the snapshot and one reservation: anything beyond is not settling and is refused. */
async function decideWithFacts(
  context: EvaluateContext,
  { shardOfCertificate, shardWithout }: Shards,
  signInWith: (read: ReadSnapshot) => SignIn,
  read: ReadSnapshot,
): Promise<
  | { readonly ok: true; readonly record: DecisionRecord; readonly snapshot: OrganizationSnapshot }
  | Extract<EvaluateResult, { readonly ok: false }>
> {
  let { snapshot } = read;
  let signIn = signInWith(read);
  let shard = shardOfCertificate ?? shardWithout;
  for (let attempt = 0; attempt < 4; attempt++) {
    const answer = await context.decide(shard, signIn);
    if ('ok' in answer) return answer;
    switch (answer.kind) {
      case 'decided':
        return { ok: true, record: answer.record, snapshot };
      case 'rate_limited':
        return { ok: false, code: 'rate_limited' };
      case 'needs_snapshot': {
        const newer = await context.refreshSnapshot();
        if (newer === undefined) return { ok: false, code: 'snapshot_unavailable' };
        snapshot = newer.snapshot;
        const { reservation, shardOfCertificate: asked } = signIn;
        signIn = { ...signInWith(newer), reservation, shardOfCertificate: asked };
        break;
      }
      case 'certificate_not_here':
        shard = shardWithout;
        signIn = { ...signIn, shardOfCertificate: false };
        break;
      case 'needs_reservation': {
        const reserved = await context.reserveBinding(signIn.subject, shard);
        if (!reserved.ok && reserved.code === 'storage_unavailable') {
          return { ok: false, code: 'storage_unavailable' };
        }
        signIn = {
          ...signIn,
          reservation: reserved.ok ? reserved : { ok: false, reason: 'subject_inactive' },
        };
        break;
      }
    }
  }
  return { ok: false, code: 'snapshot_unavailable' };
}

/** The decision token of a recorded decision; the same claims each time, `undefined` where the record has none. */
async function signDecision(
  context: EvaluateContext,
  record: DecisionRecord,
): Promise<string | undefined> {
  if (record.token === undefined) return undefined;
  const { active } = context.decisionKeys;
  const header = encodeHeader(decisionTokenTyp, active.kid);
  return await signCompactJws(
    header,
    {
      iss: context.brokerUrl,
      aud: record.client_id,
      sub: record.subject,
      ...record.token,
      application: record.application,
      action: record.action,
      transaction_hash: record.transaction_hash,
      decision: record.decision,
      reason_code: record.reason,
      device_trusted: record.device_trusted,
      decision_id: `${record.shard}.${record.sequence}`,
    },
    active.privateKey,
  );
}
