import * as z from 'zod/mini';

/** Where people read more about a sign-in that did not succeed: one address of the organization, chosen by administrators. */

/** Exactly as a browser writes it: what is checked here is what a browser opens. */
function isPlainHttpsUrl(text: string): boolean {
  const url = URL.parse(text);
  return (
    url !== null &&
    url.protocol === 'https:' &&
    url.username === '' &&
    url.password === '' &&
    url.hostname.includes('.') &&
    (url.href === text || url.href === `${text}/`)
  );
}

export const httpsLink = z.string().check(
  z.maxLength(2048),
  z.refine(isPlainHttpsUrl, {
    error:
      'must be an https address like https://it.example.com/devices, without user name and password, in the spelling of browsers',
  }),
);

/** `PUT /v1/admin/learn-more`. Empty: texts come without a link. */
export const learnMoreInput = z.strictObject({
  learn_more_url: z.union([z.literal(''), httpsLink]),
});

/** `GET /v1/admin/learn-more`. */
export const learnMoreAnswer = z.object({
  learn_more_url: z.string(),
  organization_version: z.int(),
});

/** Answer to the change. */
export const learnMoreChangeAnswer = z.object({
  learn_more_url: z.string(),
  organization_version: z.int(),
  changed: z.boolean(),
  complete_at: z.string(),
});
