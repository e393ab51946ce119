import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { TestBroker } from './test-broker.ts';

/** The socket on which a broker's workerd listens to its front, and nobody else may write to. */
export function workerdSocketOf(broker: TestBroker): string {
  const pid = broker.server.workerdPid();
  const descriptors = `/proc/${pid}/fd`;
  const inodes = new Set(
    readdirSync(descriptors).map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${descriptors}/${fd}`))?.[1];
      } catch {
        // It was closed meanwhile.
        return undefined;
      }
    }),
  );
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n');
  for (const line of lines) {
    const [, , , flags = '', , , inode, path] = line.trim().split(/ +/);
    const listens = (Number.parseInt(flags, 16) & 0x1_0000) !== 0;
    if (listens && path?.startsWith('/') && inodes.has(inode)) return path;
  }
  throw new Error(`workerd ${pid} listens on no socket with a path`);
}
