import * as z from 'zod/mini';

const facts = z.object({ clientIp: z.optional(z.string()) });

/**
 * The address that a request comes from: what the front in front of workerd says, or Cloudflare; `undefined` where
 * neither does. Of IPv6 the first 64 bits: a network has all addresses under them.
 */
export function clientAddress(request: Request): string | undefined {
  const told = z.safeParse(facts, request.cf);
  const address =
    (told.success ? told.data.clientIp : undefined) ?? request.headers.get('CF-Connecting-IP');
  if (address === undefined || address === null || address === '') return undefined;
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
