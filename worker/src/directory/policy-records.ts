import {
  type ApplicationPolicy,
  applicationPolicy,
  effectivePolicy,
  globalPolicySources,
  type PolicyDocument,
  policyDocument,
  policySources,
} from '@countersign/policy';
import * as z from 'zod/mini';
import { builtInGlobalPolicy } from '../policy/simple-policy.ts';

/** Every version that a policy has had; the newest is the one in force. Rows are never changed. */

/** What the global policy has in place of an application's id. */
export const globalPolicyOwner = '';

const versionRow = z.object({
  version: z.int(),
  document: z.string(),
  source: z.enum([...policySources, ...globalPolicySources]),
  author: z.string(),
  comment: z.string(),
  created_at_ms: z.int(),
});

export type PolicyVersion = Omit<z.infer<typeof versionRow>, 'document'> & {
  readonly policy: ApplicationPolicy;
};

const opened = ({ document, ...row }: z.infer<typeof versionRow>): PolicyVersion => ({
  ...row,
  policy: applicationPolicy.parse(JSON.parse(document)),
});

const listedRow = z.extend(z.omit(versionRow, { document: true }), { rules: z.int() });
export type ListedVersion = z.infer<typeof listedRow>;

/** More than anybody looks through; a policy is as long as a book, so the documents stay where they are. */
const mostListed = 200;

/** The newest, first. */
export function listPolicyVersions(sql: SqlStorage, applicationId: string): ListedVersion[] {
  return sql
    .exec(
      `SELECT version, json_array_length(document, '$.rules') AS rules, source, author, comment,
         created_at_ms
       FROM policy_versions WHERE application_id = ? ORDER BY version DESC LIMIT ?`,
      applicationId,
      mostListed,
    )
    .toArray()
    .map((row) => listedRow.parse(row));
}

/** Of the policy in force; `undefined` where there is no such application. */
export const policySourceOf = (sql: SqlStorage, applicationId: string) =>
  sql
    .exec<{ source: PolicyVersion['source'] }>(
      'SELECT source FROM policy_versions WHERE application_id = ? ORDER BY version DESC LIMIT 1',
      applicationId,
    )
    .toArray()[0]?.source;

/** One version, or the newest. */
export function findPolicyVersion(
  sql: SqlStorage,
  applicationId: string,
  version: number | undefined,
): PolicyVersion | undefined {
  const [row] = sql
    .exec(
      `SELECT version, document, source, author, comment, created_at_ms FROM policy_versions
       WHERE application_id = ? AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT 1`,
      applicationId,
      version ?? null,
    )
    .toArray();
  return row === undefined ? undefined : opened(versionRow.parse(row));
}

/** The version that was in force when the organization had this one. */
function findPolicyAt(
  sql: SqlStorage,
  applicationId: string,
  organizationVersion: number,
): PolicyVersion | undefined {
  const [row] = sql
    .exec(
      `SELECT version, document, source, author, comment, created_at_ms FROM policy_versions
       WHERE application_id = ? AND version <= ? ORDER BY version DESC LIMIT 1`,
      applicationId,
      organizationVersion,
    )
    .toArray();
  return row === undefined ? undefined : opened(versionRow.parse(row));
}

/**
 * What decided an application's sign-ins under this version, which is that of the newer of its two parts, with who made
 * that part. `undefined` where there was none.
 */
export function findEffectivePolicy(
  sql: SqlStorage,
  applicationId: string,
  version: number,
): (Omit<PolicyVersion, 'policy'> & { readonly policy: PolicyDocument }) | undefined {
  const own = findPolicyAt(sql, applicationId, version);
  if (own === undefined) return undefined;
  const global = findPolicyAt(sql, globalPolicyOwner, version) ?? builtIn;
  const policy = effectivePolicy(own.policy, policyDocument.parse(global.policy));
  if (policy.version !== version) return undefined;
  return { ...(own.version === version ? own : global), policy };
}

export function storePolicyVersion(
  sql: SqlStorage,
  applicationId: string,
  policy: ApplicationPolicy,
  made: Pick<PolicyVersion, 'source' | 'author' | 'comment' | 'created_at_ms'>,
): void {
  sql.exec(
    `INSERT INTO policy_versions
       (application_id, version, document, source, author, comment, created_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    applicationId,
    policy.version,
    JSON.stringify(policy),
    made.source,
    made.author,
    made.comment,
    made.created_at_ms,
  );
}

const builtIn: PolicyVersion & { readonly policy: PolicyDocument } = {
  version: builtInGlobalPolicy.version,
  source: 'built_in',
  author: '',
  comment: '',
  created_at_ms: 0,
  policy: builtInGlobalPolicy,
};

/** A version of the global policy, or the one in force. `undefined`: there is no such version. */
export function findGlobalPolicy(
  sql: SqlStorage,
  version: number | undefined,
): typeof builtIn | undefined {
  const found = findPolicyVersion(sql, globalPolicyOwner, version);
  if (found !== undefined) return { ...found, policy: policyDocument.parse(found.policy) };
  const isAsked = version === undefined || version === builtIn.version;
  return isAsked ? builtIn : undefined;
}

export function readGlobalPolicy(sql: SqlStorage): typeof builtIn {
  return findGlobalPolicy(sql, undefined) ?? builtIn;
}

/** The newest, first; the built-in one last. */
export function listGlobalPolicyVersions(sql: SqlStorage): ListedVersion[] {
  const { policy, ...facts } = builtIn;
  const listed = listPolicyVersions(sql, globalPolicyOwner);
  return [...listed, { ...facts, rules: policy.rules.length }];
}
