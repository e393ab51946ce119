import type { OcspCertificateId } from '@countersign/x509';
import { NewestEntries } from '../challenge/newest-entries.ts';
import type { SignedStatus } from './ocsp-responder.ts';
import { readyAnswerMs, readyAnswerRenewalMs } from './revocation-times.ts';

/** An answer to a question without a nonce, ready to be handed out. */
export type ReadyAnswer = SignedStatus & {
  /** Strong; of the response's octets. */
  readonly etag: string;
};

type Kept = { readonly certificateId: Uint8Array; readonly answer: ReadyAnswer };

const maxSerialNumbers = 8192;
/** Two hashes, each with and without parameters, under two issuers. */
const maxForOneSerialNumber = 8;

/**
 * Signed OCSP answers of one isolate, by serial number and by the exact form of the question, so that most questions
 * wake no object. An answer is kept for a minute; where a device's change is published in the same isolate, not even
 * that.
 */
export class ReadyAnswers {
  readonly #kept = new NewestEntries<readonly Kept[]>(maxSerialNumbers);
  readonly #renewing = new Set<string>();
  #changes = 0;

  /** Goes up with every `forget`; to be read before an answer is asked for that is then kept. */
  get changes(): number {
    return this.#changes;
  }

  find(id: OcspCertificateId, nowMs: number): ReadyAnswer | undefined {
    for (const { certificateId, answer } of this.#kept.get(id.serialNumber) ?? []) {
      const age = nowMs - answer.producedAtMs;
      if (age >= 0 && age < readyAnswerMs && isSame(certificateId, id.der)) return answer;
    }
    return undefined;
  }

  /** Passed over when anything has changed since `changes` was read: the answer may be from before. */
  keep(id: OcspCertificateId, answer: ReadyAnswer, changes: number): void {
    if (changes !== this.#changes) return;
    const others = (this.#kept.get(id.serialNumber) ?? []).filter(
      (kept) => !isSame(kept.certificateId, id.der),
    );
    const kept = [{ certificateId: id.der, answer }, ...others].slice(0, maxForOneSerialNumber);
    this.#kept.set(id.serialNumber, kept);
  }

  /** Runs `make` unless it runs for this question already. */
  async renew(id: OcspCertificateId, make: () => Promise<unknown>): Promise<void> {
    if (this.#renewing.has(id.serialNumber)) return;
    this.#renewing.add(id.serialNumber);
    try {
      await make();
    } finally {
      this.#renewing.delete(id.serialNumber);
    }
  }

  forget(serialNumbers: readonly Uint8Array[]): void {
    this.#changes += 1;
    for (const serialNumber of serialNumbers) {
      this.#kept.delete(hexOf(serialNumber));
    }
  }
}

/** Time to have the answer made anew, while this one is still good. */
export function isDue(answer: ReadyAnswer, nowMs: number): boolean {
  return nowMs - answer.producedAtMs >= readyAnswerRenewalMs;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, '0')).join('');
}

/**
 * The isolate's. Objects that run in the same one tell it of changes; for all others there is the minute.
 */
export const readyAnswers: ReadyAnswers = new ReadyAnswers();
