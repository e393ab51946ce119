import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod/mini';
import { TestBroker } from '../test-broker.ts';
import { buildFaultWorker } from './build-fault-worker.ts';

/** One place where the worker can be stopped: the name of the point, and how often it was passed before. */
export type FaultPoint = { readonly point: string; readonly passes: number };

const patienceMs = 15_000;
const attempts = 3;

async function waitUntil(isSo: () => boolean): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  while (!isSo() && performance.now() < deadline) await sleep(3);
  return isSo();
}

function workerdPid(broker: TestBroker): number {
  const pid = broker.server.workerdPid();
  if (pid === undefined) throw new Error('workerd runs');
  return pid;
}

/**
 * kill -9 of workerd; returns when the broker serves again. The server is started again as a whole: its supervisor
 * would wait longer after each of many kills.
 */
export async function killWorkerd(broker: TestBroker): Promise<void> {
  process.kill(workerdPid(broker), 'SIGKILL');
  await broker.stop();
  await broker.startAgain();
}

/** A broker whose worker stops where it is told to; see `fault-worker.js`. */
export class FaultBroker {
  readonly broker: TestBroker;
  readonly #removeWorker: () => void;

  private constructor(broker: TestBroker, removeWorker: () => void) {
    this.broker = broker;
    this.#removeWorker = removeWorker;
  }

  static async start(options: { readonly shardCount?: number } = {}): Promise<FaultBroker> {
    const worker = await buildFaultWorker();
    const broker = await TestBroker.start({ ...options, workerBundle: worker.path });
    return new FaultBroker(broker, worker.remove);
  }

  async stopAndRemove(): Promise<void> {
    await this.broker.stopAndRemove();
    this.#removeWorker();
  }

  async #command(name: string, body: unknown = {}): Promise<unknown> {
    const response = await this.broker.client.post(`/fault/${name}`, body);
    return await response.json();
  }

  async #points(command: 'points' | 'disarm'): Promise<string[]> {
    return z.array(z.string()).parse(await this.#command(command));
  }

  /**
   * Every point that `run` passes, in order.
   *
   * @param last the point by which all is done that `run` has begun, where that goes on without it
   */
  async record(run: () => Promise<unknown>, last?: string): Promise<FaultPoint[]> {
    await this.#command('record');
    await run();
    const deadline = performance.now() + patienceMs;
    let names = await this.#points('points');
    while (last !== undefined && !names.includes(last)) {
      if (performance.now() > deadline) throw new Error(`"${last}" was not passed`);
      await sleep(20);
      names = await this.#points('points');
    }
    return names.map((point, index) => ({
      point,
      passes: names.slice(0, index).filter((name) => name === point).length,
    }));
  }

  /** Drops all objects from memory: what they have on disk is all that is left. */
  async evict(): Promise<void> {
    await this.#command('evict');
  }

  /**
   * Makes what `act` acts on, acts, kills workerd with SIGKILL when the point is reached, and returns what was made when
   * the broker serves again. Whatever `act` came to is its own business: its connection breaks, or it is answered that
   * nobody serves.
   *
   * What two calls want done at the same moment can be done once, by the other one and under its name. Then the point is
   * not reached, and all is tried anew.
   */
  async killAt<Made>(
    fault: FaultPoint,
    make: () => Promise<Made>,
    act: (made: Made) => Promise<unknown>,
  ): Promise<Made> {
    let passed: readonly string[] = [];
    for (let attempt = 0; attempt < attempts; attempt++) {
      const made = await make();
      await this.#command('arm', fault);
      const seen = this.broker.logLines.length;
      const isReached = () =>
        this.broker.logLines.slice(seen).some((line) => line.includes('"fault_point"'));
      const acting = act(made).catch(() => undefined);
      // Whoever stands at the point does not hear that nobody waits there any longer.
      const disarmed = (await waitUntil(isReached))
        ? undefined
        : await Promise.race([this.#points('disarm'), waitUntil(isReached).then(() => undefined)]);
      if (disarmed === undefined) await killWorkerd(this.broker);
      await acting;
      if (disarmed === undefined) return made;
      passed = disarmed;
    }
    throw new Error(
      `"${fault.point}" (${fault.passes}) was not reached; the last attempt passed ${passed.join(', ')}`,
    );
  }
}
