import { randomText } from '@countersign/testkit/broker-client';
import { type Figure, percentile } from './figures.ts';
import { enrollFleet, userOf } from './prepared-sign-ins.ts';
import { startBroker } from './workerd-direct.ts';

const signInsPerSecond = 200;
const warmUpSeconds = 3;
const measuredSeconds = 15;

/**
 * Challenge and decision of one sign-in, started at a fixed rate whatever the server does (open loop): the time from
 * the scheduled start to the challenge, and from sending the evidence to the decision. The device's own work between
 * the two is left out.
 */
export async function measureLatency(directory: string): Promise<Figure[]> {
  const broker = await startBroker(directory);
  try {
    const fleet = await enrollFleet(broker, 100);
    const latenciesMs: number[] = [];
    let denied = 0;
    const signIn = async (index: number, scheduledAt: number) => {
      const deviceNumber = index % fleet.devices.length;
      const device = fleet.devices[deviceNumber];
      if (device === undefined) return;
      const transaction = randomText();
      const challenge = await fleet.broker.challenge(fleet.client, transaction);
      const challengedAt = performance.now();
      const evidence = await device.evidence(challenge, fleet.client.origin);
      const sentAt = performance.now();
      const subject = userOf(deviceNumber);
      const answer = await fleet.broker.evaluate(fleet.client, { subject, transaction, evidence });
      if (!answer.decision) denied += 1;
      const total = challengedAt - scheduledAt + (performance.now() - sentAt);
      if (index >= signInsPerSecond * warmUpSeconds) latenciesMs.push(total);
    };
    const startedAt = performance.now();
    const running: Promise<void>[] = [];
    for (let index = 0; index < signInsPerSecond * (warmUpSeconds + measuredSeconds); index++) {
      const scheduledAt = startedAt + (index * 1000) / signInsPerSecond;
      const wait = scheduledAt - performance.now();
      if (wait > 0) await new Promise((done) => setTimeout(done, wait));
      running.push(signIn(index, scheduledAt));
    }
    await Promise.all(running);
    if (denied > 0) throw new Error(`${denied} sign-ins were denied`);
    const p50 = percentile(latenciesMs, 0.5);
    const p99 = percentile(latenciesMs, 0.99);
    return [
      {
        name: `challenge → decision at ${signInsPerSecond} sign-ins/s, open loop`,
        value: `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
        target: 'p50 ≤ 3 ms, p99 ≤ 8 ms',
        note: `${latenciesMs.length} sign-ins; the client shares the machine and its timer is included`,
      },
    ];
  } finally {
    await broker.stop();
  }
}
