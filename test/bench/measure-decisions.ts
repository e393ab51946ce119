import { alternate, type Figure, median } from './figures.ts';
import { enrollFleet, prepareSignIns } from './prepared-sign-ins.ts';
import { encodeCall, sendAll } from './send-all.ts';
import { startBroker, startFloor } from './workerd-direct.ts';

const fleetSize = 200;
const decisionsPerRound = 3000;
const callsPerRound = 12_000;
const rounds = 5;
const warmUp = 2000;

const isOk = (answer: string) => answer.startsWith('HTTP/1.1 200');
const isAllowed = (answer: string) => answer.includes('"decision":true');

/**
 * Durable decisions (the evaluation request, client secret, bound certificates, 16 connections) against bare Durable
 * Object calls on the same runtime, in turn.
 *
 * @param verifyMicroseconds CPU of one `openssl` P-256 verification on this machine, now
 */
export async function measureDecisions(
  directory: string,
  verifyMicroseconds: () => Promise<number>,
): Promise<Figure[]> {
  const floor = await startFloor(directory);
  const broker = await startBroker(directory);
  try {
    const fleet = await enrollFleet(broker, fleetSize);
    const call = encodeCall({ method: 'POST', path: '/rpc', headers: {}, body: 'x' });
    const sendDecisions = async (count: number) => {
      const requests = (await prepareSignIns(fleet, count)).map(encodeCall);
      return await sendAll({ ...broker, requests, isExpected: isAllowed });
    };
    await sendDecisions(warmUp);
    const runs = await alternate(rounds, {
      floor: () =>
        sendAll({ ...floor, requests: Array(callsPerRound).fill(call), isExpected: isOk }),
      decision: () => sendDecisions(decisionsPerRound),
      verify: verifyMicroseconds,
    });
    const failures = runs.decision.concat(runs.floor).reduce((sum, run) => sum + run.failures, 0);
    if (failures > 0) throw new Error(`${failures} answers were not what they should be`);
    const ratio = median(
      runs.decision.map((run, index) => run.perSecond / (runs.floor[index]?.perSecond ?? 1)),
    );
    const inVerifies = median(
      runs.decision.map((run, index) => run.cpuMicroseconds / (runs.verify[index] ?? 1)),
    );
    const perSecond = median(runs.decision.map((run) => run.perSecond));
    const floorPerSecond = median(runs.floor.map((run) => run.perSecond));
    return [
      {
        name: 'durable decisions/s ÷ bare Durable Object calls/s',
        value: ratio.toFixed(2),
        target: '≥ 0.30',
        note: `${perSecond.toFixed(0)}/s ÷ ${floorPerSecond.toFixed(0)}/s`,
      },
      {
        name: 'server CPU per decision, in openssl P-256 verifications',
        value: inVerifies.toFixed(1),
        target: '≤ 9',
        note: `${median(runs.decision.map((run) => run.cpuMicroseconds)).toFixed(0)} µs; one verification ${median(runs.verify).toFixed(0)} µs; a bare call ${median(runs.floor.map((run) => run.cpuMicroseconds)).toFixed(0)} µs`,
      },
    ];
  } finally {
    await floor.stop();
    await broker.stop();
  }
}
