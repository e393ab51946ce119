import { X509Certificate } from 'node:crypto';
import type { HostStatus } from '@countersign/protocol/native-messages';
import type { Configuration } from '../configuration/configuration.ts';
import { loadConfiguration } from '../configuration/load-configuration.ts';
import { readEnrollment } from '../enrollment/enrollment-record.ts';
import type { KeyStoreReason } from '../keystore/keystore.ts';
import { openKeyStores } from '../keystore/open-keystores.ts';
import { currentPosture } from '../posture/current-posture.ts';
import { describePosture } from '../posture/describe-posture.ts';
import { fail, type Result, succeed } from '../result.ts';
import { readHostStatus } from '../status/read-host-status.ts';
import { type ExitCode, exitCodes, type Output, printFailure, printRow } from './print.ts';

export type StatusCommandInput = {
  readonly configurationPath: string;
  readonly json: boolean;
  readonly nowSeconds: number;
};

/** `countersign status`: what the extension is told, and whether the key can be used. */
export async function statusCommand(input: StatusCommandInput, output: Output): Promise<ExitCode> {
  const configuration = loadConfiguration(input.configurationPath);
  if (!configuration.ok) return printFailure(output, configuration);
  const status = await readHostStatus(configuration.value);
  if (!status.ok) return printFailure(output, status);
  const key = await checkKey(configuration.value);
  const { stateDirectory } = configuration.value;
  const posture = status.value.enrolled
    ? await currentPosture(stateDirectory, input.nowSeconds)
    : undefined;
  if (input.json) {
    const everything = {
      ...status.value,
      configuration: configuration.value.path,
      state_directory: stateDirectory,
      ...(posture === undefined ? {} : { posture }),
      ...(key.ok ? {} : { key_problem: key.detail, key_problem_code: key.reason }),
    };
    output.out(`${JSON.stringify(everything, undefined, 2)}\n`);
  } else {
    printStatus(output, configuration.value, status.value, key);
    if (posture !== undefined) printRow(output, 'posture', describePosture(posture));
  }
  return exitCodes.done;
}

type KeyCheck = Result<
  { readonly certificateIsBesideKey: boolean } | undefined,
  KeyStoreReason | 'key_of_other_certificate'
>;

/** Whether the key can sign for the certificate; `undefined` when there is no certificate yet. */
async function checkKey(configuration: Configuration): Promise<KeyCheck> {
  const enrollment = readEnrollment(configuration.stateDirectory);
  if (!enrollment.ok || enrollment.value === undefined) return succeed(undefined);
  const { leafCertificate, keyId } = enrollment.value;
  const keyStore = (await openKeyStores(configuration)).open(keyId);
  const key = await keyStore.publicKeySpki();
  if (!key.ok) return key;
  const { publicKey } = new X509Certificate(leafCertificate);
  if (!publicKey.export({ format: 'der', type: 'spki' }).equals(key.value)) {
    return fail('key_of_other_certificate', 'the key is not the one that the certificate is for');
  }
  const beside = await keyStore.findCertificate();
  if (!beside.ok) return beside;
  const certificateIsBesideKey =
    beside.value !== undefined && Buffer.from(beside.value).equals(leafCertificate);
  return succeed({ certificateIsBesideKey });
}

function printStatus(
  output: Output,
  configuration: Configuration,
  status: HostStatus,
  key: KeyCheck,
): void {
  const row = (label: string, text: string) => printRow(output, label, text);
  row('version', status.host_version);
  row('configuration', configuration.path);
  if (status.development) row('', 'for development: others than root may change it');
  row('origins', status.origins.join(' '));
  row('state', configuration.stateDirectory);
  if (configuration.keystore.kind === 'pkcs11') {
    row(
      'keystore',
      `token "${configuration.keystore.tokenLabel}" of ${configuration.keystore.module}`,
    );
  }
  if (configuration.keystore.kind === 'tpm') {
    const { device, simulatorPort } = configuration.keystore;
    const simulator = `a software TPM at port ${simulatorPort}: protects nothing`;
    row('keystore', simulatorPort === undefined ? `the TPM at ${device}` : simulator);
  }
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
  row(
    'key',
    key.ok ? `usable; kept as: ${status.key_protection}` : `${key.detail} (${key.reason})`,
  );
  if (key.ok && configuration.keystore.kind === 'pkcs11') {
    const isBeside = key.value?.certificateIsBesideKey === true;
    row(
      '',
      isBeside
        ? 'the certificate is beside it'
        : 'the certificate is not beside it; `enroll` puts it there',
    );
  }
}
