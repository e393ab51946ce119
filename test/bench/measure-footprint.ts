import { BrokerClient } from '@countersign/testkit/broker-client';
import { fileSizes } from '../support/folder-size.ts';
import { residentMemoryMiB } from '../support/process-memory.ts';
import type { Figure } from './figures.ts';
import { prepareEnrollments } from './measure-issuance.ts';
import { userOf } from './prepared-sign-ins.ts';
import { encodeCall, sendAll } from './send-all.ts';
import { startBroker } from './workerd-direct.ts';

const devices = 10_000;
const batch = 1000;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

function diskBytes(folder: string): number {
  return Object.values(fileSizes(folder)).reduce((sum, bytes) => sum + bytes, 0);
}

/** What 10,000 devices, each with its certificate bound by one sign-in, take in memory and on disk. */
export async function measureFootprint(directory: string): Promise<Figure[]> {
  const broker = await startBroker(directory);
  try {
    const client = new BrokerClient({
      fetch: (url, init) => fetch(url, init),
      brokerUrl: broker.url,
      ownerToken: broker.ownerToken,
    });
    const registered = await client.registerClient({ name: 'bench' });
    const before = {
      memory: residentMemoryMiB(broker.pid),
      disk: diskBytes(broker.durableObjects),
    };
    for (let done = 0; done < devices; done += batch) {
      const prepared = await prepareEnrollments(broker, batch, done / batch);
      const { failures } = await sendAll({
        ...broker,
        requests: prepared.map(({ call }) => encodeCall(call)),
        isExpected: (answer) => answer.startsWith('HTTP/1.1 201'),
      });
      if (failures > 0) throw new Error(`${failures} devices were not enrolled`);
    }
    const enrolled = {
      memory: residentMemoryMiB(broker.pid),
      disk: diskBytes(broker.durableObjects),
    };
    // One device more that signs in often: what a decision leaves behind.
    const [last] = await prepareEnrollments(broker, 1, devices);
    if (last === undefined) throw new Error('no device');
    await client.enroll(last.device);
    const signIns = 2000;
    for (let index = 0; index < signIns; index++) {
      const answer = await client.signIn(registered, last.device, userOf(0));
      if (!answer.decision) throw new Error(answer.context.reason_code);
    }
    const decided = diskBytes(broker.durableObjects) - enrolled.disk;
    return [
      {
        name: 'memory and disk per 10,000 devices',
        value: `${(enrolled.memory - before.memory).toFixed(0)} MiB, ${megabytes(enrolled.disk - before.disk)}`,
        target: '',
        note: `resident memory of workerd ${before.memory.toFixed(0)} MiB empty, ${enrolled.memory.toFixed(0)} MiB with all of them just enrolled; a decision adds ${(decided / signIns / 1000).toFixed(1)} KB of disk`,
      },
    ];
  } finally {
    await broker.stop();
  }
}
