import type { Bytes } from './bytes.ts';
import { isEncodableTime } from './der/time.ts';
import { X509Error } from './result.ts';
import { type RevocationReason, revocationReasonCode } from './revocation-reason.ts';

const dayMs = 86_400_000;
const year2050Ms = /* @__PURE__ */ Date.UTC(2050, 0, 1);
const maxSerialNumberOctets = 20;

/** CRLReason as entry extension, without the code that ends it: 2.5.29.21, an ENUMERATED. */
const reasonHead = /* @__PURE__ */ new Uint8Array([
  0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01,
]);

/** Headers of entry and serial number, sign octet, the longest serial, time, reason with its code. */
const maxEntryBytes = 5 + maxSerialNumberOctets + 17 + reasonHead.length + 1;

/**
 * The entries of a certificate revocation list, in DER, one after another. Adding one writes some
 * fifty bytes to the end of a buffer and nothing else, so that a list of many thousands costs a few
 * milliseconds and one more entry costs nothing.
 */
export class CrlEntries {
  #bytes: Bytes;
  #length = 0;
  #count = 0;
  #newestMs = -Infinity;
  #day = Number.NaN;
  /** `YYYYMMDD` of `#day`. */
  readonly #date = new Uint8Array(8);

  /** @param expected how many there will be, where that is known: saves copies while the buffer grows */
  constructor(expected = 64) {
    this.#bytes = new Uint8Array((expected + 1) * maxEntryBytes);
  }

  get count(): number {
    return this.#count;
  }

  /** The newest revocation date, in milliseconds; `-Infinity` where there is none. */
  get newestMs(): number {
    return this.#newestMs;
  }

  /** SEQUENCE OF's content; empty when there is none. Valid until the next `append`. */
  get der(): Bytes {
    return this.#bytes.subarray(0, this.#length);
  }

  /**
   * Adds a certificate. The caller adds each one once.
   *
   * @param serialNumber magnitude, 1 to 20 octets, no leading zero
   * @param revokedAtMs a fraction of a second is dropped
   * @throws X509Error `field_not_allowed`
   */
  append(serialNumber: Uint8Array, revokedAtMs: number, reason: RevocationReason): void {
    const first = serialNumber[0] ?? 0;
    if (first === 0 || serialNumber.length > maxSerialNumberOctets) {
      throw new X509Error('field_not_allowed', 'serialNumber: not 1 to 20 octets without zeros');
    }
    if (!isEncodableTime(revokedAtMs)) {
      throw new X509Error('field_not_allowed', 'revokedAtMs: not between 1950 and 9999');
    }
    this.#reserve();
    const bytes = this.#bytes;
    const start = this.#length;
    const signOctets = first >= 0x80 ? 1 : 0;
    bytes[start + 2] = 0x02;
    bytes[start + 3] = serialNumber.length + signOctets;
    bytes[start + 4] = 0;
    let at = start + 4 + signOctets;
    // Loops: `set` costs more than it copies for so few octets.
    for (let i = 0; i < serialNumber.length; i++) bytes[at++] = serialNumber[i] ?? 0;
    at = this.#writeTime(at, revokedAtMs);
    // RFC 5280 §5.3.1: the reason is left out rather than saying that it is unspecified.
    if (reason !== 'unspecified') {
      for (let i = 0; i < reasonHead.length; i++) bytes[at++] = reasonHead[i] ?? 0;
      bytes[at++] = revocationReasonCode[reason];
    }
    bytes[start] = 0x30;
    bytes[start + 1] = at - start - 2;
    this.#length = at;
    this.#count += 1;
    if (revokedAtMs > this.#newestMs) this.#newestMs = revokedAtMs;
  }

  #reserve(): void {
    if (this.#length + maxEntryBytes <= this.#bytes.length) return;
    const larger = new Uint8Array(this.#bytes.length * 2);
    larger.set(this.der);
    this.#bytes = larger;
  }

  /** As `encodeTime` does, without making a text for each of many thousands. */
  #writeTime(start: number, epochMs: number): number {
    const day = Math.floor(epochMs / dayMs);
    if (day !== this.#day) {
      this.#day = day;
      const text = new Date(day * dayMs).toISOString();
      for (const [to, from] of [0, 1, 2, 3, 5, 6, 8, 9].entries()) {
        this.#date[to] = text.charCodeAt(from);
      }
    }
    const bytes = this.#bytes;
    const isShort = epochMs < year2050Ms;
    bytes[start] = isShort ? 0x17 : 0x18;
    bytes[start + 1] = isShort ? 13 : 15;
    let at = start + 2;
    for (let i = isShort ? 2 : 0; i < 8; i++) bytes[at++] = this.#date[i] ?? 0;
    const second = Math.floor(epochMs / 1000) - day * 86_400;
    at = this.#writeTwoDigits(at, (second / 3600) | 0);
    at = this.#writeTwoDigits(at, ((second / 60) | 0) % 60);
    at = this.#writeTwoDigits(at, second % 60);
    bytes[at] = 0x5a;
    return at + 1;
  }

  #writeTwoDigits(at: number, value: number): number {
    const tens = (value / 10) | 0;
    this.#bytes[at] = 0x30 + tens;
    this.#bytes[at + 1] = 0x30 + value - tens * 10;
    return at + 2;
  }
}
