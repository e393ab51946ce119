import type { ReasonCode } from '@countersign/protocol';
import type { HardwareId } from '@countersign/protocol/enrollment';
import type { Configuration } from '../configuration/configuration.ts';
import { loadConfiguration } from '../configuration/load-configuration.ts';
import type { AttestInput } from '../enrollment/attest-with-tpm.ts';
import { type EnrollInput, enroll } from '../enrollment/enroll.ts';
import { readHardwareId } from '../hardware-id/read-hardware-id.ts';
import { parseBrokerUrl } from '../http/broker-url.ts';
import { openKeyStores } from '../keystore/open-keystores.ts';
import { fail, type Result, succeed } from '../result.ts';
import { type ExitCode, exitCodes, type Output, printFailure, printRow } from './print.ts';
import { hasToken, readEnrollmentToken, type TokenSources } from './read-enrollment-token.ts';

export type EnrollCommandInput = {
  readonly configurationPath: string;
  readonly brokerUrl?: string;
  readonly token: TokenSources;
  readonly nowSeconds: number;
  readonly user?: string;
  readonly replace?: boolean;
  /** What the machine said when it could still be asked; left out, it is asked now. */
  readonly hardwareId?: Awaited<ReturnType<typeof readHardwareId>>;
};

/** `countersign enroll`. */
export async function enrollCommand(input: EnrollCommandInput, output: Output): Promise<ExitCode> {
  const configuration = loadConfiguration(input.configurationPath);
  if (!configuration.ok) return printFailure(output, configuration);
  const { value } = configuration;
  printRow(
    output,
    'configuration',
    value.development ? `${value.path} (for development: not protected)` : value.path,
  );
  const brokerUrl = chooseBrokerUrl(input.brokerUrl, value.brokerUrl);
  if (!brokerUrl.ok) return printFailure(output, brokerUrl);
  const hardwareId: Result<HardwareId, ReasonCode> =
    value.hardwareId === undefined
      ? (input.hardwareId ?? (await readHardwareId()))
      : { ok: true, value: value.hardwareId };
  if (!hardwareId.ok) return printFailure(output, hardwareId);
  printRow(output, 'hardware id', describeHardware(hardwareId.value));

  const enrolled = await enroll({
    brokerUrl: brokerUrl.value,
    hardwareId: hardwareId.value,
    stateDirectory: value.stateDirectory,
    keyStores: await openKeyStores(value),
    ...(await permission(value, input.token, {
      brokerUrl: brokerUrl.value,
      hardwareId: hardwareId.value,
    })),
    nowSeconds: input.nowSeconds,
    ...(input.user === undefined ? {} : { user: input.user }),
    ...(input.replace === true ? { replace: true } : {}),
    ...(value.rootSha256 === undefined ? {} : { rootSha256: value.rootSha256 }),
    onStep: (step, detail) => printRow(output, step.replace('_', ' '), detail),
  });
  if (!enrolled.ok) return printFailure(output, enrolled);
  const { wasEnrolled, deviceId, organizationId, certificate } = enrolled.value;
  printRow(output, 'device', `${deviceId}, of organization ${organizationId}`);
  printRow(output, 'fingerprint', `${certificate.fingerprint_sha256} (SHA-256 of the certificate)`);
  printRow(output, 'valid', `${certificate.not_before} to ${certificate.not_after}`);
  output.out(
    wasEnrolled
      ? `This device was enrolled with ${enrolled.value.brokerUrl} before; nothing was changed.\n`
      : `This device is now enrolled with ${enrolled.value.brokerUrl}.\n`,
  );
  return exitCodes.done;
}

/**
 * What permits the enrollment. A configuration that names an integration to attest to needs no token: then none is asked
 * for, and one that is there all the same is used.
 */
async function permission(
  { keystore, stateDirectory }: Configuration,
  sources: TokenSources,
  request: Pick<AttestInput, 'brokerUrl' | 'hardwareId'>,
): Promise<Pick<EnrollInput, 'readEnrollmentToken' | 'attest'>> {
  if (keystore.kind !== 'tpm' || keystore.attestTo === undefined) {
    return { readEnrollmentToken: () => readEnrollmentToken(sources) };
  }
  const { attestWithTpm } = await import('../enrollment/attest-with-tpm.ts');
  const input = {
    ...request,
    settings: keystore,
    integrationId: keystore.attestTo,
    stateDirectory,
  };
  return {
    readEnrollmentToken: async () =>
      hasToken(sources) ? await readEnrollmentToken(sources) : succeed(''),
    attest: (signingRequest, proof) => attestWithTpm(input, signingRequest, proof),
  };
}

function chooseBrokerUrl(
  given: string | undefined,
  configured: string | undefined,
): Result<string, 'usage_invalid' | 'broker_url_invalid'> {
  if (given === undefined) {
    return configured === undefined
      ? fail('usage_invalid', 'enroll needs --broker, or broker_url in the configuration')
      : { ok: true, value: configured };
  }
  const parsed = parseBrokerUrl(given);
  if (!parsed.ok) return fail('broker_url_invalid', `--broker ${parsed.detail}`);
  return configured === undefined || configured === parsed.value
    ? parsed
    : fail('broker_url_invalid', `the configuration allows only ${configured}`);
}

function describeHardware({ serial_number, hardware_uuid }: HardwareId): string {
  const facts = [
    serial_number === undefined ? undefined : `serial number ${serial_number}`,
    hardware_uuid === undefined ? undefined : `UUID ${hardware_uuid}`,
  ];
  return facts.filter((fact) => fact !== undefined).join(', ');
}
