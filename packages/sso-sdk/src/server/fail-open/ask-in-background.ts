import { type BrokerConnection, callBroker } from '../call-broker.ts';
import { CountersignError } from '../countersign-error.ts';

export type Asked =
  | { readonly ok: true; readonly json: unknown }
  | { readonly ok: false; readonly error: CountersignError };

/** Asks the broker while nobody waits for it: why there is no answer is a value then. */
export async function askInBackground(
  connection: BrokerConnection,
  timeoutMs: number,
  path: string,
  body: object,
): Promise<Asked> {
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    const text = JSON.stringify(body);
    const json = await callBroker(connection, path, text, deadline, crypto.randomUUID());
    return { ok: true, json };
  } catch (cause) {
    const error =
      cause instanceof CountersignError
        ? cause
        : new CountersignError('broker_unreachable', { cause });
    return { ok: false, error };
  }
}
