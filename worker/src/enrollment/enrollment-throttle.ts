/**
 * How often somebody may be wrong about what permits an enrollment. Counted in the isolate's memory for each of three
 * things: the address that asks, the device that is named, the secret that is claimed. None of them is closed to an
 * enrollment: what permits one is 256 bits and cannot be guessed, so whoever has it gets in, whatever others have tried
 * from the same network; only the wrong ones are then answered alike and leave no trace in the log beyond their number.
 * What costs the broker more than a look-up before anything is permitted, SCEP's envelopes and the attestations of
 * TPMs, is not begun for an address that was wrong too often in the last minute.
 */
const windowMs = 60_000;
const failuresOfAddress = 30;
const failuresOfDeviceOrSecret = 60;
const maxRemembered = 10_000;

type Window = { startedAtMs: number; failures: number };

export type EnrollmentAttempt = {
  /** `undefined` where the front does not say. */
  readonly address: string | undefined;
  readonly deviceId: string | undefined;
  readonly secretId: string | undefined;
  /** False of what permits nothing in any case, as a body that cannot be read: it closes nothing to its address. */
  readonly isGuess: boolean;
};

export class EnrollmentThrottle {
  readonly #windows = new Map<string, Window>();

  /** Seconds until the address is listened to again; `undefined` when it is now. */
  secondsClosedTo(address: string | undefined, nowMs: number): number | undefined {
    if (address === undefined) return undefined;
    const window = this.#windowOf(`address ${address}`, nowMs);
    if (window === undefined || window.failures < failuresOfAddress) return undefined;
    return Math.max(1, Math.ceil((window.startedAtMs + windowMs - nowMs) / 1000));
  }

  /**
   * Notes one failure.
   *
   * @returns 0, or by how many this minute's failures of its address, device or secret are too many: then it is not
   *   recorded
   */
  noteFailure({ address, deviceId, secretId, isGuess }: EnrollmentAttempt, nowMs: number): number {
    if (!isGuess) {
      return Math.max(0, this.#raise('unproven', address, nowMs) - failuresOfAddress);
    }
    return Math.max(
      0,
      this.#raise('address', address, nowMs) - failuresOfAddress,
      this.#raise('device', deviceId, nowMs) - failuresOfDeviceOrSecret,
      this.#raise('secret', secretId, nowMs) - failuresOfDeviceOrSecret,
    );
  }

  #windowOf(name: string, nowMs: number): Window | undefined {
    const window = this.#windows.get(name);
    if (window === undefined) return undefined;
    const ageMs = nowMs - window.startedAtMs;
    if (ageMs >= 0 && ageMs < windowMs) return window;
    this.#windows.delete(name);
    return undefined;
  }

  #raise(kind: string, id: string | undefined, nowMs: number): number {
    if (id === undefined) return 0;
    const name = `${kind} ${id}`;
    const window = this.#windowOf(name, nowMs) ?? { startedAtMs: nowMs, failures: 0 };
    window.failures += 1;
    this.#windows.set(name, window);
    if (this.#windows.size > maxRemembered) {
      const [oldest] = this.#windows.keys();
      if (oldest !== undefined) this.#windows.delete(oldest);
    }
    return window.failures;
  }
}
