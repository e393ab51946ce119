import { crlShardCount, crlShardOf } from '../ca/crl-shard.ts';
import type { CrlPlace } from './publication.ts';

/** The object that publishes a list. */
export function revocationObjectName({ issuerId, crlShard }: CrlPlace): string {
  return `${issuerId}/${crlShard}`;
}

/** Octets of a serial number in hexadecimal. */
export function serialNumberBytes(serialNumber: string): Uint8Array {
  const bytes = new Uint8Array(serialNumber.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(serialNumber.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

/** The list that a certificate is on if it is revoked. */
export function placeOfSerialNumber(issuerId: string, serialNumber: string): CrlPlace {
  return { issuerId, crlShard: crlShardOf(serialNumberBytes(serialNumber)) };
}

/** From the last part of a distribution point's path; `undefined` for one that no certificate names. */
export function readCrlShard(fileName: string): number | undefined {
  const [, digits] = /^(0|[1-9][0-9]{0,3})\.crl$/.exec(fileName) ?? [];
  const crlShard = Number(digits);
  return digits !== undefined && crlShard < crlShardCount ? crlShard : undefined;
}
