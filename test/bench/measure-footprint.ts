import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileSizes } from '../support/folder-size.ts';
import { residentMemoryMiB } from '../support/process-memory.ts';
import type { Figure } from './figures.ts';
import { prepareEnrollments } from './measure-issuance.ts';
import { enrollFleet, userOf } from './prepared-sign-ins.ts';
import { encodeCall, sendAll } from './send-all.ts';
import { startBroker } from './workerd-direct.ts';

const devices = 10_000;
const batch = 1000;
const signIns = 2000;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

function diskBytes(folder: string): number {
  return Object.values(fileSizes(folder)).reduce((sum, bytes) => sum + bytes, 0);
}

/** Bytes per decision on disk, of one device that signs in often. Read when the databases are closed, as the others are. */
async function decisionBytes(directory: string): Promise<number> {
  mkdirSync(directory);
  const broker = await startBroker(directory);
  try {
    const { broker: client, client: registered, devices: fleet } = await enrollFleet(broker, 1);
    const [device] = fleet;
    if (device === undefined) throw new Error('no device');
    const before = diskBytes(broker.durableObjects);
    for (let index = 0; index < signIns; index++) {
      const answer = await client.signIn(registered, device, userOf(0));
      if (!answer.decision) throw new Error(answer.context.reason_code);
    }
    await broker.stop();
    return (diskBytes(broker.durableObjects) - before) / signIns;
  } finally {
    await broker.stop();
  }
}

/** What 10,000 devices with a certificate each take in memory and on disk. */
export async function measureFootprint(directory: string): Promise<Figure[]> {
  const broker = await startBroker(directory);
  try {
    const emptyMemory = residentMemoryMiB(broker.pid);
    for (let done = 0; done < devices; done += batch) {
      const prepared = await prepareEnrollments(broker, batch, done / batch);
      const { failures } = await sendAll({
        ...broker,
        requests: prepared.map(({ call }) => encodeCall(call)),
        isExpected: (answer) => answer.startsWith('HTTP/1.1 201'),
      });
      if (failures > 0) throw new Error(`${failures} devices were not enrolled`);
    }
    const memory = residentMemoryMiB(broker.pid);
    await broker.stop();
    const disk = diskBytes(broker.durableObjects);
    const perDecision = await decisionBytes(join(directory, 'decisions'));
    return [
      {
        name: 'memory and disk per 10,000 devices',
        value: `${(memory - emptyMemory).toFixed(0)} MiB, ${megabytes(disk)}`,
        target: '',
        note: `resident memory of workerd ${emptyMemory.toFixed(0)} MiB empty, ${memory.toFixed(0)} MiB when all of them have just enrolled; a decision adds ${(perDecision / 1000).toFixed(1)} KB of disk`,
      },
    ];
  } finally {
    await broker.stop();
  }
}
