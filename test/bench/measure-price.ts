import { randomText } from '@countersign/testkit/broker-client';
import { alternate, type Figure, median } from './figures.ts';
import { countSignIns } from './measure-counts.ts';
import { enrollFleet, type Fleet, prepareSignIns } from './prepared-sign-ins.ts';
import { encodeCall, sendAll } from './send-all.ts';
import { startBroker } from './workerd-direct.ts';

/** Cloudflare's list prices in dollars (Workers Paid and Durable Objects, November 2026), each for a million. */
const prices = {
  workerRequest: 0.3,
  cpuMillisecond: 0.02,
  objectRequest: 0.15,
  gigabyteSecond: 12.5,
  rowWritten: 1,
  rowRead: 0.001,
} as const;

/** An object is billed with this much memory while it works. */
const objectGigabytes = 0.128;
const workerRequestsPerSignIn = 2;
const rounds = 3;
const callsPerRound = 2000;

function challengeCalls({ client }: Fleet, count: number): Buffer[] {
  return Array.from({ length: count }, () =>
    encodeCall({
      method: 'POST',
      path: '/v1/challenges',
      headers: { 'Content-Type': 'text/plain', Origin: client.origin },
      body: JSON.stringify({ client_id: client.clientId, transaction: randomText() }),
    }),
  );
}

/**
 * What a million sign-ins cost on Cloudflare at list price: requests, object calls and rows are counted, CPU and the
 * time that an object is busy are measured here, where nothing is replicated.
 */
export async function measurePrice(directory: string): Promise<Figure[]> {
  const { rowsWritten, rowsRead, objectCalls } = await countSignIns(`${directory}/counted`);
  const broker = await startBroker(`${directory}/timed`);
  try {
    const fleet = await enrollFleet(broker, 50);
    const runs = await alternate(rounds, {
      challenge: () =>
        sendAll({
          ...broker,
          requests: challengeCalls(fleet, callsPerRound),
          isExpected: (answer) => answer.includes('"challenge"'),
        }),
      decision: async () =>
        sendAll({
          ...broker,
          connections: 1,
          requests: (await prepareSignIns(fleet, callsPerRound / 4)).map(encodeCall),
          isExpected: (answer) => answer.includes('"decision":true'),
        }),
    });
    const failures = [...runs.challenge, ...runs.decision].reduce(
      (sum, run) => sum + run.failures,
      0,
    );
    if (failures > 0) throw new Error(`${failures} answers were not what they should be`);
    const cpuMs =
      (median(runs.challenge.map((run) => run.cpuMicroseconds)) +
        median(runs.decision.map((run) => run.cpuMicroseconds))) /
      1000;
    // One connection: what a decision takes from request to answer is more than its object is busy.
    const busySeconds = 1 / median(runs.decision.map((run) => run.perSecond));
    const parts = {
      requests: workerRequestsPerSignIn * prices.workerRequest,
      'CPU time': cpuMs * prices.cpuMillisecond,
      'object calls': objectCalls * prices.objectRequest,
      'object time': busySeconds * objectGigabytes * prices.gigabyteSecond,
      'rows written': rowsWritten * prices.rowWritten,
      'rows read': rowsRead * prices.rowRead,
    };
    const total = Object.values(parts).reduce((sum, part) => sum + part, 0);
    const inWords = Object.entries(parts).map(([name, dollars]) => `${name} ${dollars.toFixed(3)}`);
    return [
      {
        name: 'list price of a million sign-ins on Cloudflare',
        value: `$${total.toFixed(2)}`,
        target: '',
        note: `${inWords.join(', ')}; storage of the records, logs and the monthly fee come on top`,
      },
    ];
  } finally {
    await broker.stop();
  }
}
