import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startFakeEnrollmentBroker } from '@countersign/testkit/fake-enrollment-broker';
import { builtProgram } from './built-program.ts';
import {
  type DeviceHost,
  enrollDeviceHost,
  type HostConfiguration,
  installDeviceHost,
  stateDirectoryOf,
  writeProgram,
} from './device-host.ts';

const dayMs = 86_400_000;

/**
 * Launchers of hosts that are in some kind of trouble, for a browser to start. Everything is real but the cause: a
 * clock, a certificate of another day, a damaged file.
 */

/** A device that was enrolled so many days ago (negative: will be), with a certificate for a year. */
export async function hostEnrolledDaysAgo(
  parentFolder: string,
  days: number,
  configuration: HostConfiguration,
): Promise<DeviceHost> {
  const enrolledAtMs = Date.now() - days * dayMs;
  const broker = await startFakeEnrollmentBroker('fake-device-0000', enrolledAtMs);
  try {
    const host = await installDeviceHost(parentFolder, {
      ...configuration,
      hardware_id: { serial_number: `E2E-DAYS-${Math.abs(days)}` },
    });
    const clock = `${days > 0 ? '-' : '+'}${Math.abs(days)}d`;
    await enrollDeviceHost(host, broker.url, 'A'.repeat(43), clock);
    return host;
  } finally {
    await broker.stop();
  }
}

/** The same device with another clock, in libfaketime's notation. */
export async function launcherWithClock(host: DeviceHost, clock: string): Promise<string> {
  const program = await builtProgram('native-host');
  return writeProgram(
    host.folder,
    `clock${clock}`,
    `exec faketime -f '${clock}' '${process.execPath}' '${program}' --config '${host.configurationFile}' native-messaging "$@"`,
  );
}

/** The same device after its enrollment was damaged. */
export async function hostWithDamagedEnrollment(
  parentFolder: string,
  host: DeviceHost,
  configuration: HostConfiguration,
): Promise<DeviceHost> {
  const damaged = await installDeviceHost(parentFolder, configuration);
  cpSync(stateDirectoryOf(host), stateDirectoryOf(damaged), { recursive: true });
  writeFileSync(join(stateDirectoryOf(damaged), 'enrollment.json'), '{"version":1,', {
    mode: 0o600,
  });
  return damaged;
}

/** A host that answers every message in another version of the protocol, as a later or an earlier one would. */
export function launcherOfVersion(folder: string, version: number): string {
  const script = join(folder, `version-${version}.mjs`);
  writeFileSync(
    script,
    `process.stdin.once('readable', () => {
  const message = JSON.parse(process.stdin.read().subarray(4));
  const answer = { version: ${version}, id: message.id, type: 'error', reason: { code: 'later' } };
  const bytes = Buffer.from(JSON.stringify(answer));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  process.stdout.write(Buffer.concat([length, bytes]), () => process.exit(0));
});
`,
  );
  return writeProgram(folder, `version-${version}`, `exec '${process.execPath}' '${script}'`);
}
