import { readFileSync } from 'node:fs';

/** Linux counts in hundredths of a second, whatever the machine. */
const msPerTick = 10;

/**
 * How long processors have worked for a process, ms (Linux, proc(5)). Unlike time by the clock it says nothing of disks
 * and of other processes.
 */
export function processorMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is a name in parentheses, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = fields.slice(11, 13).map(Number);
  if (user === undefined || system === undefined) throw new Error(`process ${pid} has no times`);
  return (user + system) * msPerTick;
}
