/**
 * The one rule for URLs that the broker is told to ask: an administrator's tenant URL, a link in an answer. https, a
 * public host name, nothing beside it. What the name resolves to is looked at by the runtime at each connection:
 * workerd's network allows public addresses alone, and on Cloudflare there are no others.
 */

/** An IP network that this machine's administrator has opened for the broker. */
export type OutboundNetwork = { readonly address: Uint8Array; readonly prefixBits: number };

export type OutboundUrlResult =
  | { readonly ok: true; readonly url: URL }
  | { readonly ok: false; readonly detail: string };

function addressOfHost(host: string): Uint8Array | undefined {
  if (host.startsWith('[')) return parseIpv6(host.slice(1, -1));
  return parseIpv4(host);
}

/** Dotted decimal alone: a URL's host is in this form whichever one was written. */
function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | undefined {
  // As a URL parser knows it, which gives one spelling, of hexadecimal groups alone.
  const url = URL.parse(`https://[${text}]/`);
  if (url === null) return undefined;
  const [head = '', tail] = url.hostname.slice(1, -1).split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  const all = [...first, ...Array.from({ length: zeros }, () => '0'), ...last];
  return Uint8Array.from(
    all.flatMap((group) => {
      const value = Number.parseInt(group, 16);
      return [value >> 8, value & 0xff];
    }),
  );
}

/** @param text networks in CIDR notation, with spaces between them; `undefined` when one of them is malformed */
export function parseOutboundNetworks(text: string): OutboundNetwork[] | undefined {
  const networks: OutboundNetwork[] = [];
  for (const network of text.split(' ').filter((part) => part !== '')) {
    const [, host = '', prefix = ''] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(network) ?? [];
    const address = host.includes(':') ? parseIpv6(host) : parseIpv4(host);
    const prefixBits = Number(prefix);
    if (address === undefined || prefix === '' || prefixBits > address.length * 8) return undefined;
    networks.push({ address, prefixBits });
  }
  return networks;
}

function isInside(address: Uint8Array, { address: start, prefixBits }: OutboundNetwork): boolean {
  if (address.length !== start.length) return false;
  for (let bit = 0; bit < prefixBits; bit++) {
    const mask = 0x80 >> (bit & 7);
    if (((address[bit >> 3] ?? 0) & mask) !== ((start[bit >> 3] ?? 0) & mask)) return false;
  }
  return true;
}

const loopback = [Uint8Array.of(127, 0, 0, 1), parseIpv6('::1') ?? new Uint8Array(16)];

/** Names that stand for this machine, or for a network of one's own, wherever they are asked for. */
const localName =
  /(^|\.)(localhost|localdomain|local|internal|intranet|private|lan|home|corp|arpa|onion)$/;

function refuseHost(hostname: string, networks: readonly OutboundNetwork[]): string | undefined {
  const isOpen = (address: Uint8Array) => networks.some((network) => isInside(address, network));
  const address = addressOfHost(hostname);
  if (address !== undefined) {
    return isOpen(address) ? undefined : 'must have a public host name, not an address';
  }
  if (hostname.endsWith('.')) return 'must have a host name without a dot at its end';
  if (hostname === 'localhost' || hostname.endsWith('.localhost')) {
    return loopback.some(isOpen) ? undefined : 'must not be this machine itself';
  }
  const isLocal = !hostname.includes('.') || localName.test(hostname);
  if (isLocal && networks.length === 0) {
    return 'must have a public host name; a name of a private network needs --outbound-allow';
  }
  return undefined;
}

/**
 * @param networks what `--outbound-allow` names; none on Cloudflare
 * @returns what is wrong, as `must …`, or the URL
 */
export function checkOutboundUrl(
  text: string,
  networks: readonly OutboundNetwork[],
): OutboundUrlResult {
  const refuse = (detail: string) => ({ ok: false, detail }) as const;
  const url = URL.parse(text);
  if (url === null) return refuse('must be a URL');
  if (url.protocol !== 'https:') return refuse('must be a URL with https');
  if (url.username !== '' || url.password !== '') return refuse('must not hold a user or password');
  if (url.hash !== '') return refuse('must not have a fragment');
  const detail = refuseHost(url.hostname, networks);
  return detail === undefined ? { ok: true, url } : refuse(detail);
}
