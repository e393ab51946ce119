import type { MdmResult } from './mdm-request.ts';

export type ObtainedToken = { readonly token: string; readonly expiresAtMs: number };

/** Not used any more shortly before its end: a request takes its time to arrive. */
const spareMs = 20_000;

/** A management's access token, kept in memory while it lasts and asked for once however many wait for it. */
export class AccessToken {
  #current: ObtainedToken | undefined;
  #pending: Promise<MdmResult<ObtainedToken>> | undefined;

  /** @param obtain asks the management for a token */
  async get(
    nowMs: number,
    obtain: () => Promise<MdmResult<ObtainedToken>>,
  ): Promise<MdmResult<string>> {
    const current = this.#current;
    if (current !== undefined && nowMs < current.expiresAtMs - spareMs) {
      return { ok: true, value: current.token };
    }
    this.#pending ??= obtain().finally(() => {
      this.#pending = undefined;
    });
    const obtained = await this.#pending;
    if (!obtained.ok) return obtained;
    this.#current = obtained.value;
    return { ok: true, value: obtained.value.token };
  }

  /** Forgets a token that was refused, unless a newer one is here already. */
  drop(token: string): void {
    if (this.#current?.token === token) this.#current = undefined;
  }
}

/**
 * Asks with a token. One that the management refuses although it has not expired is replaced once: it may have been
 * revoked, or the management was restarted.
 */
export async function askWithToken<Value>(
  tokens: AccessToken,
  nowMs: number,
  obtain: () => Promise<MdmResult<ObtainedToken>>,
  ask: (token: string) => Promise<MdmResult<Value>>,
): Promise<MdmResult<Value>> {
  const first = await tokens.get(nowMs, obtain);
  if (!first.ok) return first;
  const answer = await ask(first.value);
  if (answer.ok || answer.reason !== 'credentials_refused') return answer;
  tokens.drop(first.value);
  const second = await tokens.get(nowMs, obtain);
  return second.ok ? await ask(second.value) : second;
}
