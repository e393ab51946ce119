/**
 * Headers that every answer carries. Nobody keeps an answer that does not say for how long.
 *
 * @param requestId left out of answers that caches hand to others
 */
export function finish(response: Response, requestId?: string): Response {
  const { headers } = response;
  if (!headers.has('Cache-Control')) headers.set('Cache-Control', 'no-store');
  headers.set('X-Content-Type-Options', 'nosniff');
  headers.set('Referrer-Policy', 'no-referrer');
  if (requestId !== undefined) headers.set('X-Request-ID', requestId);
  return response;
}
