import { mkdirSync } from 'node:fs';
import * as z from 'zod/mini';
import type { Figure } from './figures.ts';
import { enrollFleet, prepareSignIns } from './prepared-sign-ins.ts';
import { encodeCall, sendAll } from './send-all.ts';
import { startBroker } from './workerd-direct.ts';

const counts = z.object({ rowsWritten: z.int(), rowsRead: z.int(), deviceCalls: z.int() });
const decisions = 200;

/**
 * Rows (as the runtime bills them, in all objects) and calls of a `DeviceObject` for each decision with a bound
 * certificate. Exact, and free of the machine's mood.
 */
export async function countSignIns(directory: string) {
  mkdirSync(directory, { recursive: true });
  const broker = await startBroker(directory, { counting: true });
  const takeCounts = async () => counts.parse(await (await fetch(`${broker.url}/counts`)).json());
  try {
    const fleet = await enrollFleet(broker, 20);
    const requests = (await prepareSignIns(fleet, decisions)).map(encodeCall);
    await takeCounts();
    const { failures } = await sendAll({
      ...broker,
      requests,
      isExpected: (answer) => answer.includes('"decision":true'),
    });
    if (failures > 0) throw new Error(`${failures} sign-ins were denied`);
    const { rowsWritten, rowsRead, deviceCalls } = await takeCounts();
    return {
      rowsWritten: rowsWritten / decisions,
      rowsRead: rowsRead / decisions,
      objectCalls: deviceCalls / decisions,
    };
  } finally {
    await broker.stop();
  }
}

export async function measureCounts(directory: string): Promise<Figure[]> {
  const { rowsWritten, rowsRead, objectCalls } = await countSignIns(directory);
  return [
    {
      name: 'rows written, object calls per decision with a bound certificate',
      value: `${rowsWritten}, ${objectCalls}`,
      target: '≤ 2, 1',
      note: `counted over ${decisions} decisions; ${rowsRead.toFixed(1)} rows read`,
    },
  ];
}
