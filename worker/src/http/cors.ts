import type { ReadSnapshot } from '../directory/organization-snapshot.ts';

/** The request's origin when some client has registered it: its page may read what the broker answers. */
export function readableOrigin(read: ReadSnapshot, request: Request): string | undefined {
  const origin = request.headers.get('Origin');
  if (origin === null) return undefined;
  for (const client of read.snapshot.clients.values()) {
    if (client.origins.includes(origin)) return origin;
  }
  return undefined;
}

/**
 * Lets a page of a registered origin read the answer (Fetch, CORS protocol).
 *
 * @param origin of `readableOrigin`
 * @param credentials `include` only where the browser's client certificate is asked for
 */
export function withCors(
  response: Response,
  origin: string | undefined,
  credentials: 'omit' | 'include' = 'omit',
): Response {
  response.headers.append('Vary', 'Origin');
  if (origin === undefined) return response;
  response.headers.set('Access-Control-Allow-Origin', origin);
  if (credentials === 'include') response.headers.set('Access-Control-Allow-Credentials', 'true');
  return response;
}
