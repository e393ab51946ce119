import * as z from 'zod/mini';

/** Names a management integration, in certificate records, requests and the host's configuration. */
export const integrationId = z.string().check(
  z.regex(/^int_[A-Za-z0-9_-]{22}$/, {
    error: 'must be int_ and 22 base64url characters',
  }),
);
