import { resolve } from 'node:path';
import { loadConfiguration } from '../configuration/load-configuration.ts';
import { addSchedule, removeSchedule } from '../schedule/keep-schedule.ts';
import { type ExitCode, exitCodes, type Output, printFailure, printRow } from './print.ts';
import { thisPlace } from './this-place.ts';

export type ScheduleCommandInput = {
  readonly configurationPath: string;
  readonly remove: boolean;
};

/** `countersign schedule`: has `renew --if-due` run at every login and once a day, as the person who asks for it. */
export async function scheduleCommand(
  input: ScheduleCommandInput,
  output: Output,
): Promise<ExitCode> {
  if (input.remove) {
    const removed = await removeSchedule(thisPlace());
    if (!removed.ok) return printFailure(output, removed);
    for (const file of removed.value) printRow(output, 'removed', file);
    if (removed.value.length === 0) output.out('There is no task of yours that renews.\n');
    return exitCodes.done;
  }
  const configuration = loadConfiguration(input.configurationPath);
  if (!configuration.ok) return printFailure(output, configuration);
  const program = process.argv[1];
  const added = await addSchedule(thisPlace(), [
    process.execPath,
    ...(program === undefined ? [] : [resolve(program)]),
    'renew',
    '--if-due',
    '--config',
    configuration.value.path,
  ]);
  if (!added.ok) return printFailure(output, added);
  for (const file of added.value) printRow(output, 'written', file);
  output.out('This device renews its certificate by itself: at every login, and once a day.\n');
  return exitCodes.done;
}
