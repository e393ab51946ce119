import { type AccessDocument, accessDocument } from '@countersign/policy';
import * as z from 'zod/mini';

/** Every version of what may be done inside of an application; the newest is the one in force. Rows are never changed. */

const versionRow = z.object({
  version: z.int(),
  document: z.string(),
  author: z.string(),
  comment: z.string(),
  created_at_ms: z.int(),
});

export type AccessVersion = Omit<z.infer<typeof versionRow>, 'document'> & {
  readonly access: AccessDocument;
};

const listedRow = z.extend(z.omit(versionRow, { document: true }), { rules: z.int() });

/** More than anybody looks through. */
const mostListed = 200;

/** The newest, first. */
export function listAccessVersions(sql: SqlStorage, applicationId: string) {
  return sql
    .exec(
      `SELECT version, json_array_length(document, '$.rules') AS rules, author, comment,
         created_at_ms
       FROM access_versions WHERE application_id = ? ORDER BY version DESC LIMIT ?`,
      applicationId,
      mostListed,
    )
    .toArray()
    .map((row) => listedRow.parse(row));
}

/** One version, or the newest. */
export function findAccessVersion(
  sql: SqlStorage,
  applicationId: string,
  version: number | undefined,
): AccessVersion | undefined {
  const [row] = sql
    .exec(
      `SELECT version, document, author, comment, created_at_ms FROM access_versions
       WHERE application_id = ? AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT 1`,
      applicationId,
      version ?? null,
    )
    .toArray();
  if (row === undefined) return undefined;
  const { document, ...made } = versionRow.parse(row);
  return { ...made, access: accessDocument.parse(JSON.parse(document)) };
}

export function storeAccessVersion(
  sql: SqlStorage,
  applicationId: string,
  access: AccessDocument,
  made: Pick<AccessVersion, 'author' | 'comment' | 'created_at_ms'>,
): void {
  sql.exec(
    `INSERT INTO access_versions (application_id, version, document, author, comment, created_at_ms)
     VALUES (?, ?, ?, ?, ?, ?)`,
    applicationId,
    access.version,
    JSON.stringify(access),
    made.author,
    made.comment,
    made.created_at_ms,
  );
}

/** The document in force of each application that has one, as JSON. */
export function readAccessJson(sql: SqlStorage): ReadonlyMap<string, string> {
  const rows = sql
    .exec<{ application_id: string; document: string }>(
      `SELECT application_id, document FROM access_versions AS one
       WHERE version = (SELECT MAX(version) FROM access_versions WHERE application_id = one.application_id)`,
    )
    .toArray();
  return new Map(rows.map(({ application_id, document }) => [application_id, document]));
}

/** The groups that the rules in force name, by application; read without the rest of the documents. */
export function readAccessGroups(sql: SqlStorage): ReadonlyMap<string, ReadonlySet<string>> {
  const rows = sql
    .exec<{ application_id: string; group_id: string }>(
      `SELECT DISTINCT one.application_id, name.value AS group_id
       FROM access_versions AS one, json_each(one.document, '$.rules') AS rule,
         json_each(json_array('groups', 'except_groups')) AS kind,
         json_each(rule.value, '$.when.people.' || kind.value) AS name
       WHERE version = (SELECT MAX(version) FROM access_versions WHERE application_id = one.application_id)`,
    )
    .toArray();
  const groups = new Map<string, Set<string>>();
  for (const { application_id, group_id } of rows) {
    const known = groups.get(application_id);
    if (known === undefined) groups.set(application_id, new Set([group_id]));
    else known.add(group_id);
  }
  return groups;
}
