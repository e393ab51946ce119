// Sign-ins without end: as many as an hour brings at 20 a second, as fast as they go. Memory and open files stay.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { median } from '../bench/figures.ts';
import { ServerProcess } from '../support/faults/server-process.ts';
import { openFiles, residentMemoryMiB } from '../support/process-memory.ts';

const signInsOfAnHour = 72_000;
const signIns = Number(process.env.COUNTERSIGN_SOAK_SIGN_INS ?? 4_000);
const lanes = 12;
const devicesPerLane = 4;
/** A heap breathes, and fills up at first; what leaks for each sign-in goes beyond this in an hour. */
const allowedGrowthMiB = signIns < signInsOfAnHour ? 128 : 64;
const allowedMoreFiles = 16;
/** Samples for each run: the load is cut into as many parts. */
const samplesPerRun = 60;

let directory: string;
let server: ServerProcess;
let client: TestClient;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-soak-'));
  server = await ServerProcess.start({ dataDirectory: join(directory, 'data'), shardCount: 16 });
  client = await server.client.registerClient();
});
afterAll(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true });
});

type Sample = { readonly memoryMiB: number; readonly files: number };

const sampleOf = (pid: number): Sample => ({
  memoryMiB: residentMemoryMiB(pid),
  files: openFiles(pid),
});

/** The middle and the last third of a run: what was to be allocated once has been allocated in the first. */
function growth(samples: readonly Sample[]) {
  const third = Math.floor(samples.length / 3);
  const [middle, last] = [samples.slice(third, 2 * third), samples.slice(2 * third)];
  const memory = (part: readonly Sample[]) => median(part.map(({ memoryMiB }) => memoryMiB));
  const files = (part: readonly Sample[]) => Math.max(...part.map((sample) => sample.files));
  return {
    memoryMiB: { from: memory(middle), to: memory(last) },
    files: { from: files(middle), to: files(last) },
  };
}

it(
  `stays as it is in ${signIns} sign-ins (COUNTERSIGN_SOAK_SIGN_INS=${signInsOfAnHour} is an hour)`,
  async () => {
    const workerd = server.workerdPid ?? 0;
    const samples: Record<'workerd' | 'server', Sample[]> = { workerd: [], server: [] };
    const failures: string[] = [];
    let done = 0;
    const began = performance.now();
    await Promise.all(
      Array.from({ length: lanes }, async (_, lane) => {
        const devices: FakeDevice[] = [];
        for (let made = 0; made < devicesPerLane; made++) {
          const device = await FakeDevice.create();
          await server.client.enroll(device);
          devices.push(device);
        }
        for (let turn = 0; done < signIns; turn++) {
          const index = turn % devicesPerLane;
          const device = devices[index];
          if (device === undefined) throw new Error('each lane has its devices');
          const transaction = randomText();
          const challenge = await server.client.challenge(client, transaction);
          const evidence = await device.evidence(challenge, client.origin);
          const subject = `user-${lane}-${index}`;
          const answer = await server.client.evaluate(client, { subject, transaction, evidence });
          if (!answer.decision) failures.push(answer.context.reason_code);
          done += 1;
          if (done % Math.ceil(signIns / samplesPerRun) === 0) {
            samples.workerd.push(sampleOf(workerd));
            samples.server.push(sampleOf(server.pid));
          }
        }
      }),
    );
    const seconds = (performance.now() - began) / 1000;

    expect(failures).toEqual([]);
    expect(server.workerdPid, 'one workerd served all of it').toBe(workerd);
    console.log(
      `${done} sign-ins in ${seconds.toFixed(0)} s, ${(done / seconds).toFixed(0)} a second`,
    );
    for (const [name, taken] of Object.entries(samples)) {
      const { memoryMiB, files } = growth(taken);
      console.log(
        `${name}: ${memoryMiB.from.toFixed(0)} → ${memoryMiB.to.toFixed(0)} MiB, ${files.from} → ${files.to} files`,
      );
      expect(taken.length).toBeGreaterThan(samplesPerRun / 2);
      const grownMiB = memoryMiB.to - memoryMiB.from;
      expect(grownMiB, `memory of ${name}`).toBeLessThan(allowedGrowthMiB);
      expect(files.to - files.from, `files of ${name}`).toBeLessThanOrEqual(allowedMoreFiles);
    }
  },
  60_000 + signIns * 30,
);
