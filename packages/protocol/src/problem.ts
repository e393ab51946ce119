import * as z from 'zod/mini';

/** RFC 9457 problem document; `code` is stable, `field` names what was wrong in a request. */
export const problemDocument = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.optional(z.string()),
  field: z.optional(z.string()),
  /** What the person who met it can do. */
  user_text: z.optional(z.string()),
});
export type ProblemDocument = z.infer<typeof problemDocument>;
