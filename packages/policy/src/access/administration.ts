import * as z from 'zod/mini';
import { accessDocument, accessFields } from './access-document.ts';

/** What administrators send and are answered, about access inside of applications. */

/** `PUT /v1/admin/applications/{id}/access`. */
export const accessChange = z.strictObject({
  access: accessFields,
  /** Why, for whoever reads the versions. */
  comment: z._default(z.string().check(z.maxLength(512)), ''),
  /** The version that it is to take the place of, 0 for none; left out, whichever there is. */
  expected_version: z.optional(z.int().check(z.minimum(0))),
});
export type AccessChange = z.infer<typeof accessChange>;

const versionFacts = {
  /** The administrator's id, or `owner`. */
  author: z.string(),
  comment: z.string(),
  /** RFC 3339. */
  created_at: z.string(),
};

/** `GET /v1/admin/applications/{id}/access` and, with a version, that one. */
export const accessAnswer = z.object({
  application_id: z.string(),
  access: accessDocument,
  ...versionFacts,
});

/** `GET /v1/admin/applications/{id}/access/versions`, newest first. */
export const accessVersions = z.object({
  application_id: z.string(),
  versions: z.array(z.object({ version: z.int(), rules: z.int(), ...versionFacts })),
});
