import * as z from 'zod/mini';
import { revocationInput } from './certificate-life.ts';

export { userId } from './user-id.ts';

/** `PUT /v1/admin/users/{id}`. Nobody inactive signs in; what was bound before is ended for ever. */
export const userInput = z.strictObject({ active: z.boolean() });

/** `POST /v1/admin/users/{id}/revoke`. */
export const userRevocationInput = revocationInput;

const jobStatus = z.enum(['pending', 'complete']);

/** Answer to both: 202 while `pending`, 200 when `complete`. */
export const userChangeAnswer = z.object({
  user_id: z.string(),
  active: z.boolean(),
  /** Rises whenever bindings are ended. */
  epoch: z.int(),
  status: jobStatus,
  /** What to ask for until it is complete; absent when there is nothing to wait for. */
  job_id: z.optional(z.string()),
});

/** `GET /v1/admin/jobs/{job id}`: 202 while `pending`, 200 when `complete`. Times are RFC 3339. */
export const jobAnswer = z.object({
  job_id: z.string(),
  status: jobStatus,
  /** What ends: bindings of a user, or everything of an integration. */
  kind: z.enum(['user', 'integration']),
  user_id: z.optional(z.string()),
  /** Bindings of this epoch and of older ones end. */
  epoch: z.optional(z.int()),
  integration_id: z.optional(z.string()),
  /** `deactivated`, the reason of a revocation, or `deleted`. */
  reason: z.string(),
  created_at: z.string(),
  completed_at: z.optional(z.string()),
  /** Shards that are to end it, and how many of them have it on disk. */
  shards: z.object({ total: z.int(), reached: z.int() }),
});
export type JobAnswer = z.infer<typeof jobAnswer>;

/** `GET /v1/admin/users/{id}`. */
export const userAnswer = z.object({
  user_id: z.string(),
  active: z.boolean(),
  /** Made known by an administrator or a directory, and not only by a sign-in. */
  provisioned: z.boolean(),
  epoch: z.int(),
  /** In how many shards a certificate may have been bound to this user. */
  bound_shards: z.int(),
  /** That are not complete, oldest first. */
  jobs: z.array(jobAnswer),
});
