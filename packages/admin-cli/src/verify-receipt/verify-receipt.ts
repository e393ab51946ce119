import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import {
  type DecisionReceiptClaims,
  decisionReceipt,
  decisionReceiptClaims,
  decisionReceiptTyp,
  type Replay,
  replayDecision,
  type TracedRule,
  traceRecord,
  wasDecidedByPolicy,
} from '@countersign/policy';
import { type DecisionRecord, decisionRecord } from '@countersign/protocol/decision-record';
import { maxClockSkewSeconds } from '@countersign/protocol/limits';
import { parseFields } from '@countersign/protocol/schemas';
import { parseStrictJson } from '@countersign/protocol/strict-json';
import { decodePem, type ParsedCertificate, parseCertificate } from '@countersign/x509';
import canonicalize from 'canonicalize';
import * as z from 'zod/mini';
import { isSignedBy, openJws, type UnverifiedJws } from './open-jws.ts';
import { type Refused, refuse } from './receipt-failure.ts';
import { verifyKeySet } from './verify-key-set.ts';

export type VerifiedReceipt = {
  readonly ok: true;
  readonly claims: DecisionReceiptClaims;
  readonly record: DecisionRecord;
  readonly replay: Extract<Replay, { kind: 'same' | 'not_asked' }>;
  /** Those that were looked at, as computed here: what the receipt says of criteria is the broker's word. */
  readonly rules: readonly TracedRule[];
};

export type ReceiptInput = {
  /** The file as it was kept. */
  readonly text: string;
  /** The organization's root, PEM: whoever verifies has it from elsewhere than the receipt. */
  readonly rootPem: string;
  readonly nowMs: number;
};

/** Exactly these members. */
const receiptHeader = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal(decisionReceiptTyp),
  kid: z.string(),
});

const sha256 = (...parts: ReadonlyArray<Buffer | string>) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('base64url');

/** `undefined` for a point that is not on the curve. */
function publicKeyOf(
  key: Readonly<Record<'kty' | 'crv' | 'x' | 'y', string>>,
): KeyObject | undefined {
  try {
    return createPublicKey({ key, format: 'jwk' });
  } catch {
    return undefined;
  }
}

function readRoot(pem: string): { readonly ok: true; readonly root: ParsedCertificate } | Refused {
  const der = decodePem(pem, 'CERTIFICATE');
  if (!der.ok) return refuse('root_malformed', der.detail);
  const root = parseCertificate(der.value);
  return root.ok ? { ok: true, root: root.value } : refuse('root_malformed', root.detail);
}

function readFile(text: string) {
  const json = parseStrictJson(text);
  if (!json.ok) return refuse('file_malformed', `it ${json.detail}`);
  const file = parseFields(decisionReceipt, json.value);
  return file.ok ? file : refuse('file_malformed', `${file.field} ${file.detail}`);
}

type Opened = {
  readonly ok: true;
  readonly jws: UnverifiedJws;
  readonly kid: string;
  readonly unverifiedClaims: DecisionReceiptClaims;
};

/** Kind and algorithm first: what is none of these is another token, whoever signed it. */
function openReceipt(text: string): Opened | Refused {
  const jws = openJws(text);
  if (jws === undefined) return refuse('receipt_malformed', 'it is no compact JWS');
  const header = parseFields(receiptHeader, jws.unverifiedHeader);
  if (!header.ok) {
    const failures = {
      typ: 'receipt_type_wrong',
      alg: 'receipt_algorithm_not_allowed',
    } as const;
    const { field } = header;
    const failure = field === 'typ' || field === 'alg' ? failures[field] : 'receipt_malformed';
    return refuse(failure, `header.${field} ${header.detail}`);
  }
  const claims = parseFields(decisionReceiptClaims, jws.unverifiedPayload);
  if (!claims.ok) return refuse('receipt_malformed', `${claims.field} ${claims.detail}`);
  return { ok: true, jws, kid: header.value.kid, unverifiedClaims: claims.value };
}

/** The row's hash, and that the record is the row that it is said to be. */
function checkRow(
  claims: DecisionReceiptClaims,
): { readonly ok: true; readonly record: DecisionRecord } | Refused {
  const { row, decision_id } = claims;
  const computed = sha256(Buffer.from(row.previous_hash, 'base64url'), row.record);
  if (computed !== row.hash) {
    return refuse('record_hash_wrong', `the row has ${row.hash}, its record gives ${computed}`);
  }
  const json = parseStrictJson(row.record);
  const read = json.ok ? parseFields(decisionRecord, json.value) : undefined;
  if (read === undefined || !read.ok) {
    return refuse('record_foreign', `it is no decision: ${read?.field ?? 'not JSON'}`);
  }
  const { shard, sequence } = read.value;
  const writer = row.chain.slice(row.chain.lastIndexOf('.') + 1);
  const isThisRow =
    sequence === row.sequence &&
    String(shard) === writer &&
    decision_id === `${row.chain}.${row.sequence}`;
  return isThisRow
    ? { ok: true, record: read.value }
    : refuse('record_foreign', `it is row ${sequence} of shard ${shard}, not ${decision_id}`);
}

/** The policy is the one that the record names, and gives what is recorded. */
function checkPolicy(
  { policy }: DecisionReceiptClaims,
  /** As it was signed: what its hash is of. */
  signedDocument: unknown,
  record: DecisionRecord,
): ({ readonly ok: true } & Pick<VerifiedReceipt, 'replay' | 'rules'>) | Refused {
  if (!wasDecidedByPolicy(record)) {
    if (policy !== undefined)
      return refuse('policy_wrong', 'no policy was asked, and there is one');
    // Nothing but a policy lets anybody in, or has them wait.
    return record.decision || record.pending !== undefined
      ? refuse('policy_wrong', 'it is no denial, and no policy was asked')
      : { ok: true, replay: { kind: 'not_asked' }, rules: [] };
  }
  if (policy === undefined) return refuse('policy_wrong', 'it is missing');
  if (policy.document.version !== record.policy_version) {
    const { version } = policy.document;
    return refuse('policy_wrong', `it is version ${version}, not ${record.policy_version}`);
  }
  const computed = sha256(canonicalize(signedDocument) ?? '');
  if (computed !== policy.sha256) return refuse('policy_wrong', 'its hash is another');
  const replay = replayDecision(record, policy.document, policy.zones);
  if (replay.kind !== 'different') {
    const rules = traceRecord(record, policy.document, policy.zones);
    return { ok: true, replay, rules };
  }
  const { members, computed: outcome } = replay;
  const told = members.map((name) => `${name} ${JSON.stringify(outcome[name])}`).join(', ');
  return refuse('replay_different', `computed again: ${told}`);
}

const signedPolicy = z.object({ policy: z.optional(z.object({ document: z.unknown() })) });

/**
 * Verifies a receipt by the organization's root alone, asking nobody. In this order: the file; kind and algorithm of the
 * receipt; its key set under the root, as of when it was signed; its key and signature; that both are of one broker; its
 * times; the record's hash and place; the policy, and the decision computed once more.
 */
export async function verifyReceipt({
  text,
  rootPem,
  nowMs,
}: ReceiptInput): Promise<VerifiedReceipt | Refused> {
  const root = readRoot(rootPem);
  if (!root.ok) return root;
  const file = readFile(text);
  if (!file.ok) return file;
  const opened = openReceipt(file.value.receipt);
  if (!opened.ok) return opened;
  const { jws, kid, unverifiedClaims } = opened;
  const signedAtMs = unverifiedClaims.iat * 1000;
  const keySet = await verifyKeySet(file.value.key_set, root.root, signedAtMs);
  if (!keySet.ok) return keySet;
  const jwk = keySet.claims.audit_keys?.find((key) => key.kid === kid);
  if (jwk === undefined) return refuse('receipt_key_unknown', `the key set does not name ${kid}`);
  const { kty, crv, x, y } = jwk;
  const key = publicKeyOf({ kty, crv, x, y });
  if (key === undefined || !(await isSignedBy(jws, key))) {
    return refuse('receipt_signature_invalid', 'it is not signed by its key');
  }
  const claims = unverifiedClaims;
  const { iss, aud, iat } = keySet.claims;
  if (claims.iss !== iss || claims.org !== aud) {
    return refuse('receipt_of_other_broker', `the key set is of ${iss}, ${aud}`);
  }
  const row = checkRow(claims);
  if (!row.ok) return row;
  const { record } = row;
  const earliest = Math.max(iat, record.recorded_at_ms / 1000) - maxClockSkewSeconds;
  const latest = nowMs / 1000 + maxClockSkewSeconds;
  if (!(earliest <= claims.iat && claims.iat <= latest)) {
    const at = new Date(signedAtMs).toISOString();
    return refuse('receipt_time_wrong', `it says that it was signed at ${at}`);
  }
  const { policy } = signedPolicy.parse(jws.unverifiedPayload);
  const checked = checkPolicy(claims, policy?.document, record);
  if (!checked.ok) return checked;
  const { replay, rules } = checked;
  return { ok: true, claims, record, replay, rules };
}
