import { cfBlobHeader, forwardedProtoHeader } from '../workerd/workerd-configuration.ts';

/**
 * What of a client's headers reaches the broker. A header by which some proxy, somewhere, tells who the client is or
 * what it asked for is dropped in every spelling; the two that the front itself writes come last and stand alone.
 */

/** Connection-level fields (RFC 9110 section 7.6.1); the front frames every message anew. */
const connectionLevel = new Set([
  'connection',
  'content-length',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Written by proxies and edges about the client. The part after the prefix does not matter. */
const proxyPrefixes = [
  'cdn-',
  'cf-',
  'client-cert',
  'client-ip',
  'early-data',
  'fastly-',
  'forwarded',
  'mf-',
  'remote-',
  'ssl-',
  'tls-',
  'true-client-',
  'via',
  'x-amzn-',
  'x-arr-',
  'x-cf-',
  'x-client-',
  'x-cluster-client-',
  'x-envoy-',
  'x-forwarded',
  'x-http-method',
  'x-method-override',
  'x-mf-',
  'x-original-',
  'x-real-',
  'x-remote-',
  'x-rewrite-',
  'x-ssl',
  'x-tls',
  'x-verified-',
];

/**
 * Letters, digits and hyphens. A name with anything else (an underscore, a dot) is dropped: programs differ in whether
 * they take it for another name.
 */
const plainName = /^[a-z0-9-]+$/;

function isForeign(lowerCaseName: string): boolean {
  return (
    !plainName.test(lowerCaseName) ||
    connectionLevel.has(lowerCaseName) ||
    proxyPrefixes.some((prefix) => lowerCaseName.startsWith(prefix))
  );
}

/** Clients send the same few names in the same spelling again and again. */
const verdicts = new Map<string, boolean>();
const maxVerdicts = 512;

/** @param name in the client's spelling */
function isDropped(name: string): boolean {
  const known = verdicts.get(name);
  if (known !== undefined) return known;
  const verdict = isForeign(name.toLowerCase());
  if (verdicts.size < maxVerdicts) verdicts.set(name, verdict);
  return verdict;
}

const noNames: ReadonlySet<string> = new Set();

/** Names that a Connection field lists belong to the connection too (RFC 9110 section 7.6.1). */
function namesOfConnection(connection: string | undefined): ReadonlySet<string> {
  if (connection === undefined || /^(keep-alive|close)$/i.test(connection)) return noNames;
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
}

export type FrontFacts = {
  /** JSON of `request.cf`. ASCII. */
  readonly cfBlob: string;
  readonly protocol: 'http' | 'https';
  /** Octets of the body that follows; `undefined` for a request without one. */
  readonly bodyLength: number | undefined;
};

/**
 * Headers for workerd, in the flat form of `IncomingMessage.rawHeaders`.
 *
 * @param rawHeaders of the client, flat
 * @param connection the client's Connection field
 */
export function headersForWorkerd(
  rawHeaders: readonly string[],
  connection: string | undefined,
  facts: FrontFacts,
): string[] {
  const namedByConnection = namesOfConnection(connection);
  const headers: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (isDropped(name)) continue;
    if (namedByConnection.size > 0 && namedByConnection.has(name.toLowerCase())) continue;
    headers.push(name, rawHeaders[index + 1] ?? '');
  }
  headers.push(cfBlobHeader, facts.cfBlob, forwardedProtoHeader, facts.protocol);
  if (facts.bodyLength !== undefined) headers.push('Content-Length', String(facts.bodyLength));
  return headers;
}

/** Headers of the broker's answer for the client, flat. */
export function headersForClient(rawHeaders: readonly string[]): string[] {
  const headers: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    if (name === 'content-length' || !connectionLevel.has(name)) {
      headers.push(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '');
    }
  }
  return headers;
}
