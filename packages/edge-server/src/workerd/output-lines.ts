import type { Readable } from 'node:stream';

const maxLineBytes = 64 * 1024;

/** Calls `onLine` with each line of a stream. A line that does not end is cut, so that it cannot fill the memory. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  let pending = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (pending + chunk).split('\n');
    pending = lines.pop() ?? '';
    if (pending.length > maxLineBytes) lines.push(pending.slice(0, maxLineBytes));
    if (pending.length > maxLineBytes) pending = '';
    for (const line of lines) if (line !== '') onLine(line);
  });
  stream.on('end', () => {
    if (pending !== '') onLine(pending);
  });
}
