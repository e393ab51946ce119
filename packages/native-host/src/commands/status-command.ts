import { X509Certificate } from 'node:crypto';
import type { HostStatus } from '@countersign/protocol/native-messages';
import type { Configuration } from '../configuration/configuration.ts';
import { loadConfiguration } from '../configuration/load-configuration.ts';
import { readEnrollment } from '../enrollment/enrollment-record.ts';
import { FileKeyStore } from '../keystore/file-keystore.ts';
import { readHostStatus } from '../status/read-host-status.ts';
import { type ExitCode, exitCodes, type Output, printFailure, printRow } from './print.ts';

export type StatusCommandInput = { readonly configurationPath: string; readonly json: boolean };

/** `countersign status`: what the extension is told, and whether the key can be used. */
export async function statusCommand(input: StatusCommandInput, output: Output): Promise<ExitCode> {
  const configuration = loadConfiguration(input.configurationPath);
  if (!configuration.ok) return printFailure(output, configuration);
  const status = await readHostStatus(configuration.value);
  if (!status.ok) return printFailure(output, status);
  const keyProblem = await findKeyProblem(configuration.value);
  if (input.json) {
    const everything = {
      ...status.value,
      configuration: configuration.value.path,
      state_directory: configuration.value.stateDirectory,
      ...(keyProblem === undefined ? {} : { key_problem: keyProblem }),
    };
    output.out(`${JSON.stringify(everything, undefined, 2)}\n`);
  } else {
    printStatus(output, configuration.value, status.value, keyProblem);
  }
  return exitCodes.done;
}

/** Why the key cannot sign for the certificate; `undefined` when it can, and when there is no certificate yet. */
async function findKeyProblem({ stateDirectory }: Configuration): Promise<string | undefined> {
  const enrollment = readEnrollment(stateDirectory);
  if (!enrollment.ok || enrollment.value === undefined) return undefined;
  const key = await new FileKeyStore(stateDirectory, enrollment.value.keyId).publicKeySpki();
  if (!key.ok) return key.detail;
  const certificate = new X509Certificate(enrollment.value.leafCertificate);
  return certificate.publicKey.export({ format: 'der', type: 'spki' }).equals(key.value)
    ? undefined
    : 'the key is not the one that the certificate is for';
}

function printStatus(
  output: Output,
  configuration: Configuration,
  status: HostStatus,
  keyProblem: string | undefined,
): void {
  const row = (label: string, text: string) => printRow(output, label, text);
  row('version', status.host_version);
  row('configuration', configuration.path);
  if (status.development) row('', 'for development: others than root may change it');
  row('origins', status.origins.join(' '));
  row('state', configuration.stateDirectory);
  if (status.certificate === undefined) {
    row('enrolled', 'no; run `countersign enroll` with an enrollment token');
    return;
  }
  const { fingerprint_sha256, not_before, not_after, issuer } = status.certificate;
  row('enrolled', `with ${status.broker_url}`);
  row('device', status.device_id ?? '');
  row('fingerprint', `${fingerprint_sha256} (SHA-256 of the certificate)`);
  row('issuer', issuer);
  row('valid', `${not_before} to ${not_after}`);
  row('key', keyProblem ?? `usable; kept as: ${status.key_protection}`);
}
