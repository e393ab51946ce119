import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from './server-process.ts';

/**
 * The edge server in a mount namespace of its own (unshare(1), Linux): its data folder is on a memory disk of a few
 * megabytes that nobody else sees and that is gone with the process. Root may do that anywhere, others where user
 * namespaces are allowed; where neither is so, the start fails and says it.
 */
export class SmallDiskBroker {
  readonly server: ServerProcess;
  readonly shardCount: number;
  readonly #mountPoint: string;

  private constructor(server: ServerProcess, shardCount: number, mountPoint: string) {
    this.server = server;
    this.shardCount = shardCount;
    this.#mountPoint = mountPoint;
  }

  static async start(diskMiB: number): Promise<SmallDiskBroker> {
    if (process.platform !== 'linux') {
      throw new Error('a full disk is made with a mount namespace, which only Linux has');
    }
    const shardCount = 4;
    const mountPoint = mkdtempSync(join(tmpdir(), 'countersign-small-disk-'));
    const mount = `mount -t tmpfs -o size=${diskMiB}m,mode=700 none "$0" && exec "$@"`;
    const namespace = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--map-root-user'];
    try {
      const server = await ServerProcess.start({
        dataDirectory: join(mountPoint, 'data'),
        shardCount,
        within: ['unshare', ...namespace, 'sh', '-c', mount, mountPoint],
        seenFromOutside: (pid) => join(`/proc/${pid}/root`, mountPoint, 'data'),
      });
      return new SmallDiskBroker(server, shardCount, mountPoint);
    } catch (error) {
      rmSync(mountPoint, { recursive: true });
      throw new Error('no broker on a small disk: unshare and mount must be allowed', {
        cause: error,
      });
    }
  }

  get client() {
    return this.server.client;
  }

  /** The disk as the server sees it: a path through its own root. */
  get #disk(): string {
    return join(`/proc/${this.server.pid}/root`, this.#mountPoint);
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

  async stop(): Promise<void> {
    await this.server.stop();
    rmSync(this.#mountPoint, { recursive: true });
  }
}
