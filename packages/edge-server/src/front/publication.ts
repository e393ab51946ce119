import type { IncomingMessage } from 'node:http';
import type { Forwarder } from './forward-request.ts';
import { sendProblem } from './send-problem.ts';

/**
 * What strangers fetch by plain HTTP because certificates say so (RFC 5280 section 8): lists, status, authorities'
 * certificates. All of it is signed, and asking for it changes nothing.
 */
const fetched = /^\/(crl|certificates|ocsp)\/./;
const asked = '/ocsp';

function isPublished({ method, url = '' }: IncomingMessage): boolean {
  // As the broker will read it: /crl/../v1 is none of these.
  const path = URL.parse(url, 'http://pki.invalid')?.pathname;
  if (path === undefined || path !== url.split('?', 1)[0]) return false;
  if (method === 'POST') return path === asked;
  return (method === 'GET' || method === 'HEAD') && fetched.test(path);
}

/** Passes on what is published, and nothing else. */
export function publicationOnly(forward: Forwarder): Forwarder {
  return (request, response, waitsForContinue) => {
    if (isPublished(request)) {
      forward(request, response, waitsForContinue);
      return;
    }
    request.resume();
    const detail = 'At this port there are revocation lists, OCSP and certificates alone.';
    sendProblem(response, 404, 'not_found', detail, { Connection: 'close' });
  };
}
