import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeLauncher } from '@countersign/native-host';
import { builtProgram } from './built-program.ts';

const run = promisify(execFile);

/** A native host as it lies on a device: configuration, state and launcher in one folder. Plain data. */
export type DeviceHost = {
  readonly folder: string;
  readonly configurationFile: string;
  /** What a host manifest names. */
  readonly launcher: string;
};

export type HostConfiguration = {
  readonly origins: readonly string[];
  readonly hardware_id?: { readonly serial_number: string };
  readonly state_directory?: string;
  readonly development?: boolean;
};

/**
 * A folder for hosts that belongs to root, as do all above it. /tmp does not count, everybody may write there: the
 * host calls a configuration in it untrusted.
 */
export const makeRootOwnedFolder = () => mkdtempSync('/var/lib/countersign-e2e-');

/** Sets up the built host with a configuration of its own. Unless the state is another host's, it is not enrolled. */
export async function installDeviceHost(
  parentFolder: string,
  configuration: HostConfiguration,
): Promise<DeviceHost> {
  const folder = mkdtempSync(join(parentFolder, 'host-'));
  const state = join(folder, 'state');
  mkdirSync(state, { mode: 0o700 });
  const configurationFile = join(folder, 'host.json');
  writeFileSync(configurationFile, JSON.stringify({ state_directory: state, ...configuration }));
  const launcher = join(folder, 'countersign-host');
  writeLauncher(launcher, {
    nodePath: process.execPath,
    programPath: await builtProgram('native-host'),
    configurationPath: configurationFile,
  });
  return { folder, configurationFile, launcher };
}

export const stateDirectoryOf = (host: DeviceHost) => join(host.folder, 'state');

/** Enrolls the device with the command that an administrator uses; `clock` is libfaketime's, such as `-400d`. */
export async function enrollDeviceHost(
  { configurationFile }: DeviceHost,
  brokerUrl: string,
  enrollmentToken: string,
  clock = '+0',
): Promise<void> {
  const command = ['enroll', '--broker', brokerUrl, '--config', configurationFile];
  const program = [process.execPath, await builtProgram('native-host'), ...command];
  const [file = '', ...args] = clock === '+0' ? program : ['faketime', '-f', clock, ...program];
  await run(file, args, {
    env: { ...process.env, COUNTERSIGN_ENROLLMENT_TOKEN: enrollmentToken },
    timeout: 20_000,
  });
}

/** Writes an executable shell script and gives its path. */
export function writeProgram(folder: string, name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

/**
 * A host that ends once it has begun to read. One that ends before that gives either of two errors, depending on
 * whether the browser's write was faster.
 */
export function writeDyingProgram(folder: string): string {
  return writeProgram(folder, 'dies', 'head -c 4 >/dev/null\nexit 1');
}
