import { isIP, isIPv4 } from 'node:net';
import type { ServerNames } from '../data-directory/make-certificates.ts';
import { EdgeServerError } from '../edge-server-error.ts';

/** Names for the self-made TLS certificate: always this machine's own, and those that clients were told. */

const hostName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** What one listens on to be reached at every address; nobody connects to it by that name. */
const anyAddress = new Set(['0.0.0.0', '::']);

/** Lower case, IPv6 without brackets and in its one canonical form (RFC 5952). */
function normalName(host: string): string {
  const bare = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) === 6) return new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  if (isIP(bare) === 0 && (bare.length > 253 || !hostName.test(bare))) {
    throw new EdgeServerError(
      'setting_invalid',
      `"${host}" is not a host name or address that a TLS certificate can be made for.`,
    );
  }
  return bare;
}

/**
 * @param hosts names and addresses, as they stand in URLs or in `--host`
 * @throws EdgeServerError `setting_invalid`
 */
export function serverNames(hosts: readonly string[]): string[] {
  const names = ['localhost', '127.0.0.1', '::1', ...hosts.map(normalName)];
  return [...new Set(names)].filter((name) => !anyAddress.has(name));
}

function ipv6Bytes(canonical: string): number[] {
  const [head = '', tail] = canonical.split('::');
  const groups = (text: string) => text.split(':').filter((group) => group !== '');
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** The same names as a certificate holds them. */
export function certificateNames(names: readonly string[]): ServerNames {
  return {
    dnsNames: names.filter((name) => isIP(name) === 0),
    ipAddresses: names
      .filter((name) => isIP(name) !== 0)
      .map((name) => Uint8Array.from(isIPv4(name) ? name.split('.').map(Number) : ipv6Bytes(name))),
  };
}
