import type { BrokerConnection } from '../call-broker.ts';

/** In a row: one that is lost on its way tells nothing of the broker. */
const failuresNeeded = 2;
/** After that the server is too busy with itself to tell, and lets nobody in. */
const mostProbes = 4;
/**
 * Timers run before sockets are read. Where a deadline is met later than this, the process was at something else when it
 * passed, and the answer may lie there unread.
 */
const lateMs = 250;

/**
 * Whether the broker answers nobody, by its `GET /healthz`. Any answer below 500 says that it is there; so does not being
 * able to tell.
 *
 * @param timeoutMs of each probe; as long as an evaluation may take, so that a slow broker is not an absent one
 */
export async function isAway(connection: BrokerConnection, timeoutMs: number): Promise<boolean> {
  let failures = 0;
  for (let probes = 0; probes < mostProbes; probes++) {
    const found = await probe(connection, timeoutMs);
    if (found === 'answers') return false;
    failures = found === 'fails' ? failures + 1 : 0;
    if (failures === failuresNeeded) return true;
  }
  return false;
}

async function probe(
  { url, fetch }: BrokerConnection,
  timeoutMs: number,
): Promise<'answers' | 'fails' | 'late'> {
  const startedMs = performance.now();
  try {
    const response = await fetch(`${url}/healthz`, {
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    return response.status >= 500 ? 'fails' : 'answers';
  } catch {
    // Whatever became of it on its way, nobody has answered.
    return performance.now() - startedMs > timeoutMs + lateMs ? 'late' : 'fails';
  }
}
