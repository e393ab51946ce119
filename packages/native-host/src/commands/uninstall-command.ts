import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { nativeHostName } from '@countersign/protocol/native-messages';
import { loadConfiguration } from '../configuration/load-configuration.ts';
import { hostManifestBrowsers, hostManifestPlace } from '../installation/host-manifest-place.ts';
import { FileKeyStores } from '../keystore/file-keystores.ts';
import { openKeyStores } from '../keystore/open-keystores.ts';
import { fail } from '../result.ts';
import { removeSchedule, type SchedulePlace } from '../schedule/keep-schedule.ts';
import { type ExitCode, exitCodes, type Output, printFailure, printRow } from './print.ts';
import { thisPlace } from './this-place.ts';

/** Files that the host keeps in a state folder beside its keys. */
const stateFiles = [
  'enrollment.json',
  'key-set.json',
  'pending-enrollment.json',
  'posture.json',
  'renewal-attempts.json',
] as const;

/**
 * `countersign uninstall`: removes everything that the host has made for the person who asks for it: keys in whatever
 * keystore, enrollment, task, host manifests. Needs no token. What belongs to the machine (program, configuration,
 * manifests for everybody) goes with its package. The broker is not told: revoke the device there.
 */
export async function uninstallCommand(
  { configurationPath }: { readonly configurationPath: string },
  output: Output,
): Promise<ExitCode> {
  const configuration = loadConfiguration(configurationPath);
  if (!configuration.ok) return printFailure(output, configuration);
  const place = thisPlace();
  const unscheduled = await removeSchedule(place);
  if (!unscheduled.ok) return printFailure(output, unscheduled);
  for (const file of unscheduled.value) printRow(output, 'removed', file);

  const { stateDirectory } = configuration.value;
  const keyStores = await openKeyStores(configuration.value);
  // Keys in files as well, where the device had them before its configuration named another keystore.
  for (const stores of [keyStores, new FileKeyStores(stateDirectory)]) {
    const removed = await stores.removeAll();
    if (!removed.ok) return printFailure(output, fail('key_unavailable', removed.detail));
  }
  printRow(output, 'removed', 'keys of this device');
  try {
    for (const file of removeFiles(stateDirectory, place)) printRow(output, 'removed', file);
  } catch (error) {
    return printFailure(output, fail('state_unwritable', String(error)));
  }
  output.out(
    'Nothing of Countersign is left here that belongs to you. Revoke the device at the broker.\n',
  );
  return exitCodes.done;
}

function removeFiles(stateDirectory: string, place: SchedulePlace): string[] {
  const { homeDirectory, platform } = place;
  const manifests = hostManifestBrowsers
    .map((browser) => hostManifestPlace(browser, { scope: 'user', homeDirectory }, platform))
    .filter(({ kind }) => kind === 'folder')
    .map(({ path }) => join(path, `${nativeHostName}.json`));
  const files = [...stateFiles.map((name) => join(stateDirectory, name)), ...manifests];
  const present = files.filter((file) => existsSync(file));
  for (const file of present) rmSync(file);
  if (existsSync(stateDirectory) && readdirSync(stateDirectory).length === 0) {
    rmdirSync(stateDirectory);
    present.push(stateDirectory);
  }
  return present;
}
