import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod/mini';
import { TestBroker } from '../test-broker.ts';
import { buildFaultWorker } from './build-fault-worker.ts';

/** One place where the worker can be stopped: the name of the point, and how often it was passed before. */
export type FaultPoint = { readonly point: string; readonly passes: number };

const waitLimitMs = 20_000;

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + waitLimitMs;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(3);
  }
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

  /** Every point that `run` passes, in order. */
  async record(run: () => Promise<unknown>): Promise<FaultPoint[]> {
    await this.#command('record');
    await run();
    const names = z.array(z.string()).parse(await this.#command('points'));
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
   * Runs `act`, kills workerd with SIGKILL when the point is reached, and returns when the broker serves again.
   * Whatever `act` came to is its own business: its connection breaks, or it is answered that nobody serves.
   */
  async killAt(fault: FaultPoint, act: () => Promise<unknown>): Promise<void> {
    const { broker } = this;
    await this.#command('arm', fault);
    const seen = broker.logLines.length;
    const acting = act().catch(() => undefined);
    await until(`"${fault.point}" is reached`, () =>
      broker.logLines.slice(seen).some((line) => line.includes('"fault_point"')),
    );
    await killWorkerd(broker);
    await acting;
  }
}
