import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BrokerClient } from '@countersign/testkit/broker-client';
import * as z from 'zod/mini';
import { builtProgram } from '../built-program.ts';
import { findFreePort } from '../free-port.ts';

const program = fileURLToPath(
  new URL('../../../packages/edge-server/src/main.ts', import.meta.url),
);
const runRecord = z.object({ workerd: z.optional(z.object({ pid: z.int() })) });
const startLimitMs = 30_000;

/** The edge server as a process of its own, for tests of what it needs and of what surrounds it. */
export class ServerProcess {
  readonly client: BrokerClient;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #dataDirectory: string;

  private constructor(child: ChildProcess, pid: number, url: string, dataDirectory: string) {
    this.#child = child;
    this.pid = pid;
    this.#dataDirectory = dataDirectory;
    const ownerToken = readFileSync(join(dataDirectory, 'owner-token'), 'utf8').trim();
    this.client = new BrokerClient({ fetch, brokerUrl: url, ownerToken });
  }

  /**
   * @param options.within a command that runs the one that follows it, in the same process
   * @param options.seenFromOutside where this process finds the data folder, when that is elsewhere
   */
  static async start(options: {
    readonly dataDirectory: string;
    readonly shardCount: number;
    readonly within?: readonly string[];
    readonly seenFromOutside?: (pid: number) => string;
  }): Promise<ServerProcess> {
    const { dataDirectory, shardCount, within = [] } = options;
    const httpPort = await findFreePort();
    const [command = '', ...args] = [
      ...within,
      ...[process.execPath, program, '--log', 'json', '--data', dataDirectory],
      ...['--worker', await builtProgram('worker'), '--shards', String(shardCount)],
      ...['--http-port', String(httpPort), '--tls-port', String(await findFreePort())],
    ];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        // What it says at its start is looked at, and the newest when that fails.
        output = (output + text).slice(-20_000);
      });
    }
    const deadline = performance.now() + startLimitMs;
    while (!output.includes('"event":"started"')) {
      if (child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`the server does not start: ${output}`);
      }
      await sleep(20);
    }
    const { pid } = child;
    if (pid === undefined) throw new Error('a process that speaks has a number');
    const seen = options.seenFromOutside?.(pid) ?? dataDirectory;
    return new ServerProcess(child, pid, `http://127.0.0.1:${httpPort}`, seen);
  }

  /** `undefined` while it is started again. */
  get workerdPid(): number | undefined {
    const text = readFileSync(join(this.#dataDirectory, 'server.json'), 'utf8');
    return runRecord.parse(JSON.parse(text)).workerd?.pid;
  }

  /** kill -9; returns when the server has another one. */
  async killWorkerd(): Promise<void> {
    const killed = this.workerdPid;
    if (killed === undefined) throw new Error('workerd runs');
    process.kill(killed, 'SIGKILL');
    const deadline = performance.now() + startLimitMs;
    const isHealthy = () => this.client.request('/healthz').then(({ ok }) => ok);
    while (this.workerdPid === killed || !(await isHealthy())) {
      if (performance.now() > deadline) throw new Error('the broker did not come back');
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((done) => this.#child.once('exit', done));
    this.#child.kill('SIGTERM');
    await ended;
  }
}
