import * as z from 'zod/mini';

const facts = z.object({ clientIp: z.optional(z.string()) });

/** IPv4 on a socket that listens for both (RFC 4291 section 2.5.5.2): it is nobody's IPv6 network. */
const mappedIpv4 = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/**
 * The address that a request comes from: what the front in front of workerd says, or Cloudflare; `undefined` where
 * neither does. Of IPv6 the first 64 bits: a network has all addresses under them.
 */
export function clientAddress(request: Request): string | undefined {
  const told = z.safeParse(facts, request.cf);
  const address =
    (told.success ? told.data.clientIp : undefined) ?? request.headers.get('CF-Connecting-IP');
  if (address === undefined || address === null || address === '') return undefined;
  const [, ipv4] = mappedIpv4.exec(address) ?? [];
  if (ipv4 !== undefined) return ipv4;
  return address.includes(':') ? firstHalf(address.toLowerCase()) : address;
}

function firstHalf(address: string): string {
  const [left = '', right] = address.split('::');
  const [before, after] = [left, right ?? ''].map((part) => part.split(':').filter(Boolean));
  const missing = right === undefined ? 0 : 8 - (before?.length ?? 0) - (after?.length ?? 0);
  const groups = [
    ...(before ?? []),
    ...Array<string>(Math.max(0, missing)).fill('0'),
    ...(after ?? []),
  ];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
