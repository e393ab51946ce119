import { createHash, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { readEnrollment } from '@countersign/native-host';
import type { DemoBrokerClient } from './broker-client.ts';
import { enroll, type NativeHost, readStatus } from './native-host.ts';
import { keepPrivateText, randomText, writePrivateFile } from './private-file.ts';
import { StepError } from './report.ts';

/** A device of its own for the demonstration: configuration, key and certificate in the data folder. */
export type DemoDevice = {
  readonly host: NativeHost;
  readonly stateDirectory: string;
  readonly serialNumber: string;
};

/**
 * Writes the host's configuration. The serial number stays with the data folder. A device serves one broker, so there is
 * one state folder for each broker URL that the demonstration has run under.
 */
export function prepareDemoDevice(options: {
  readonly dataDirectory: string;
  readonly program: string;
  readonly brokerUrl: string;
  readonly origins: readonly string[];
  readonly rootCertificatePem: string;
}): DemoDevice {
  const folder = join(options.dataDirectory, 'demo');
  const serialNumber = keepPrivateText(
    join(folder, 'serial-number'),
    () =>
      `DEMO-${randomText(8)
        .replace(/[^A-Za-z0-9]/g, '0')
        .toUpperCase()}`,
  );
  const place = join(folder, new URL(options.brokerUrl).host.replace(':', '-'));
  const stateDirectory = join(place, 'state');
  const configurationPath = join(place, 'host.json');
  const root = new X509Certificate(options.rootCertificatePem).raw;
  const configuration = {
    origins: options.origins,
    broker_url: options.brokerUrl,
    root_sha256: createHash('sha256').update(root).digest('base64url'),
    state_directory: stateDirectory,
    hardware_id: { serial_number: serialNumber },
    development: true,
  };
  writePrivateFile(configurationPath, `${JSON.stringify(configuration, undefined, 2)}\n`);
  return { host: { program: options.program, configurationPath }, stateDirectory, serialNumber };
}

const tokenTtlSeconds = 600;

/** Enrolls the device, unless it is: with a one-time token that the admin API gives for its serial number. */
export async function enrollDemoDevice(
  { host, serialNumber }: DemoDevice,
  broker: DemoBrokerClient,
  brokerUrl: string,
): Promise<{ readonly deviceId: string; readonly enrolledNow: boolean }> {
  const before = await readStatus(host);
  if (before.enrolled && before.device_id !== undefined) {
    return { deviceId: before.device_id, enrolledNow: false };
  }
  const token = await broker.createEnrollmentToken(
    { serial_number: serialNumber },
    tokenTtlSeconds,
  );
  await enroll(host, brokerUrl, token.enrollment_token);
  return { deviceId: token.device_id, enrolledNow: true };
}

/** The device's certificate, as the device holds it. */
export function demoCertificate({ stateDirectory }: DemoDevice): X509Certificate {
  const enrollment = readEnrollment(stateDirectory);
  if (enrollment.ok && enrollment.value !== undefined) {
    return new X509Certificate(enrollment.value.leafCertificate);
  }
  throw new StepError(
    `device: ${stateDirectory} holds no enrollment`,
    'Remove that folder and start again.',
  );
}
