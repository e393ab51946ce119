import type { PolicyFinding } from '@countersign/policy';
import type * as z from 'zod/mini';
import type { PolicyRefusal } from '../directory/change-policy.ts';
import type { PolicyVersion } from '../directory/policy-records.ts';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import type { AdminContext } from './for-admin.ts';
import { readBody } from './read-body.ts';
import { readWhole } from './read-whole.ts';

/** What the routes of documents with versions have in common: policies, the global one, and access. */

/** A thousand rules with names in each; thousands of resources with what is known of them. */
const maxDocumentBytes = 1024 * 1024;

export const readDocument = <Schema extends z.ZodMiniType>(context: AdminContext, schema: Schema) =>
  readBody(context.request, schema, ['application/json'], maxDocumentBytes);

type Made = Pick<PolicyVersion, 'author' | 'comment' | 'created_at_ms'>;

/** Who made a version, when and why. */
export const versionFactsOf = ({ author, comment, created_at_ms }: Made) => ({
  author,
  comment,
  created_at: new Date(created_at_ms).toISOString(),
});

/** Of a policy also what it was made from. */
export const policyVersionFactsOf = (made: Made & Pick<PolicyVersion, 'source'>) => ({
  source: made.source,
  ...versionFactsOf(made),
});

/** A list of versions, as it is answered. */
export const showVersions = <Row extends { readonly version: number; readonly rules: number }>(
  rows: readonly Row[],
  factsOf: (row: Row) => object,
) => rows.map((row) => ({ version: row.version, rules: row.rules, ...factsOf(row) }));

/** `?version=`; `ok: false` is what is answered to one that is none. */
export function askedVersion(
  context: AdminContext,
): { ok: true; version: number | undefined } | { ok: false; response: Response } {
  const asked = new URL(context.request.url).searchParams.get('version');
  const version = asked === null ? undefined : readWhole(asked, 1, Number.MAX_SAFE_INTEGER);
  if (asked === null || version !== undefined) return { ok: true, version };
  const detail = 'must be a whole number in range';
  return {
    ok: false,
    response: context.refuse({ code: 'field_invalid', field: 'version', detail }),
  };
}

/** A policy with a mistake is not taken. `undefined` where there is none. */
export function refuseMistake(
  context: AdminContext,
  rules: ReadonlyArray<{ readonly id: string }>,
  findings: readonly PolicyFinding[],
): Response | undefined {
  const mistake = findings.find(({ severity }) => severity === 'error');
  if (mistake === undefined) return undefined;
  const place = rules.findIndex(({ id }) => id === mistake.rule);
  const { detail } = mistake;
  return context.refuse({ code: 'field_invalid', field: `policy.rules.${place}`, detail });
}

export function refusePolicyChange(
  context: AdminContext,
  refusal: PolicyRefusal | StorageUnavailable,
): Response {
  switch (refusal.code) {
    case 'field_invalid': {
      const { code, field, detail } = refusal;
      return context.refuse({ code, field, detail });
    }
    case 'policy_version_conflict':
      return context.refuse({
        code: refusal.code,
        detail: `it is at version ${refusal.version}`,
      });
    default:
      return context.refuse({ code: refusal.code });
  }
}
