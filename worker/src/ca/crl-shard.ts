/** How many lists the revoked certificates of an issuer are spread over. Written into certificates: never changed. */
export const crlShardCount = 16;

/**
 * The list that a certificate would be on, from the last octet of its serial number: the first octet of a serial number
 * is the same in all of ours, the others are random.
 */
export function crlShardOf(serialNumber: Uint8Array): number {
  return (serialNumber.at(-1) ?? 0) % crlShardCount;
}

/** Path below the origin at which revocation is published. */
export function crlPath(issuerId: string, crlShard: number): string {
  return `/crl/${issuerId}/${crlShard}.crl`;
}

export const ocspPath = '/ocsp';

/** The issuer's own certificate, DER. */
export function issuerCertificatePath(issuerId: string): string {
  return `/certificates/${issuerId}`;
}
