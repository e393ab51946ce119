import * as z from 'zod/mini';

/** What is kept of a person beside names and standing: for administrators to tell people apart, and for look-ups. */

const email = z.object({
  value: z.string(),
  type: z.optional(z.string()),
  primary: z.optional(z.boolean()),
});
export type Email = z.infer<typeof email>;

/** More than these of one person are not kept. */
export const maxEmails = 16;

export const nameParts = ['formatted', 'givenName', 'familyName'] as const;
export type NamePart = (typeof nameParts)[number];

/** Named as SCIM names them (RFC 7643 section 4.1.1). */
export const userProfile = z.object({
  displayName: z.optional(z.string()),
  name: z.object({
    formatted: z.optional(z.string()),
    givenName: z.optional(z.string()),
    familyName: z.optional(z.string()),
  }),
  emails: z.array(email),
});
export type UserProfile = z.infer<typeof userProfile>;

export const emptyProfile: UserProfile = { name: {}, emails: [] };
