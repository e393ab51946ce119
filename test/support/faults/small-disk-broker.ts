import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BrokerClient } from '@countersign/testkit/broker-client';
import { builtProgram } from '../built-program.ts';
import { findFreePort } from '../free-port.ts';

const program = fileURLToPath(
  new URL('../../../packages/edge-server/src/main.ts', import.meta.url),
);

/**
 * The edge server in a mount namespace of its own (unshare(1), Linux): its data folder is on a memory disk of a few
 * megabytes that nobody else sees and that is gone with the process. Root may do that anywhere, others where user
 * namespaces are allowed.
 */
export class SmallDiskBroker {
  readonly client: BrokerClient;
  readonly shardCount: number;
  readonly #child: ChildProcess;
  readonly #mountPoint: string;
  readonly #output: () => string;

  private constructor(
    child: ChildProcess,
    mountPoint: string,
    url: string,
    shardCount: number,
    output: () => string,
  ) {
    this.#child = child;
    this.#mountPoint = mountPoint;
    this.#output = output;
    this.shardCount = shardCount;
    const ownerToken = readFileSync(join(this.#disk, 'data/owner-token'), 'utf8').trim();
    this.client = new BrokerClient({ fetch, brokerUrl: url, ownerToken });
  }

  static async start(diskMiB: number): Promise<SmallDiskBroker> {
    if (process.platform !== 'linux') {
      throw new Error('a full disk is made with a mount namespace, which only Linux has');
    }
    const shardCount = 4;
    const mountPoint = mkdtempSync(join(tmpdir(), 'countersign-small-disk-'));
    const httpPort = await findFreePort();
    const server = [
      ...[process.execPath, program, '--log', 'json', '--data', join(mountPoint, 'data')],
      ...['--worker', await builtProgram('worker'), '--shards', String(shardCount)],
      ...['--http-port', String(httpPort), '--tls-port', String(await findFreePort())],
    ];
    const mount = `mount -t tmpfs -o size=${diskMiB}m,mode=700 none "$0" && exec "$@"`;
    const namespace = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--map-root-user'];
    const child = spawn('unshare', [...namespace, 'sh', '-c', mount, mountPoint, ...server], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const deadline = performance.now() + 30_000;
    while (!output.includes('"event":"started"')) {
      if (child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        rmSync(mountPoint, { recursive: true });
        throw new Error(`no broker on a small disk (unshare and mount must be allowed): ${output}`);
      }
      await sleep(20);
    }
    return new SmallDiskBroker(
      child,
      mountPoint,
      `http://127.0.0.1:${httpPort}`,
      shardCount,
      () => output,
    );
  }

  /** The disk as the server sees it: a path through its own root. */
  get #disk(): string {
    return join(`/proc/${this.#child.pid}/root`, this.#mountPoint);
  }

  get workerdPid(): number {
    const record = JSON.parse(readFileSync(join(this.#disk, 'data/server.json'), 'utf8'));
    return Number(record.workerd?.pid);
  }

  get log(): string {
    return this.#output();
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#disk);
    return bavail * bsize;
  }

  /** Writes a file into all space that is left. */
  fill(): void {
    const file = openSync(join(this.#disk, 'filler'), 'a');
    try {
      const block = Buffer.alloc(4096, 1);
      for (;;) writeSync(file, block);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    } finally {
      closeSync(file);
    }
  }

  freeSpace(): void {
    rmSync(join(this.#disk, 'filler'));
  }

  /** kill -9; returns when the server has another one. */
  async killWorkerd(): Promise<void> {
    const killed = this.workerdPid;
    process.kill(killed, 'SIGKILL');
    const deadline = performance.now() + 20_000;
    const isBack = () => this.client.request('/healthz').then(({ ok }) => ok);
    while (this.workerdPid === killed || !(await isBack())) {
      if (performance.now() > deadline) throw new Error('the broker did not come back');
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      const ended = new Promise((done) => this.#child.once('exit', done));
      this.#child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.#mountPoint, { recursive: true });
  }
}
