import { loadConfiguration } from '../configuration/load-configuration.ts';
import { openKeyStores } from '../keystore/open-keystores.ts';
import { measureAndKeepPosture } from '../posture/current-posture.ts';
import { renew } from '../renewal/renew.ts';
import { renewIfDue } from '../renewal/renew-if-due.ts';
import { type ExitCode, exitCodes, type Output, printFailure, printRow } from './print.ts';

export type RenewCommandInput = {
  readonly configurationPath: string;
  readonly ifDue: boolean;
  readonly rekey: boolean;
  readonly nowSeconds: number;
};

/** `countersign renew`. */
export async function renewCommand(input: RenewCommandInput, output: Output): Promise<ExitCode> {
  const configuration = loadConfiguration(input.configurationPath);
  if (!configuration.ok) return printFailure(output, configuration);
  const { value } = configuration;
  const { nowSeconds, rekey } = input;
  const renewed = input.ifDue
    ? await renewIfDue(value, nowSeconds)
    : await renew({
        stateDirectory: value.stateDirectory,
        keyStores: await openKeyStores(value),
        nowSeconds,
        rekey,
      });
  // The task that renews comes at every login: the first sign-in after it waits for no measurement.
  if (renewed.ok || renewed.reason !== 'not_enrolled') {
    await measureAndKeepPosture(value.stateDirectory, nowSeconds);
  }
  if (!renewed.ok) return printFailure(output, renewed);
  if (renewed.value === undefined) {
    output.out('It is not time yet; nothing was asked.\n');
    return exitCodes.done;
  }
  const { certificate, renewed: isNew } = renewed.value;
  printRow(output, 'fingerprint', `${certificate.fingerprint_sha256} (SHA-256 of the certificate)`);
  printRow(output, 'valid', `${certificate.not_before} to ${certificate.not_after}`);
  output.out(
    isNew
      ? 'The certificate was renewed. A browser that shows the old one needs to be restarted.\n'
      : 'The broker has no newer certificate yet; nothing was changed.\n',
  );
  return exitCodes.done;
}
