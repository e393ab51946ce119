import { loadConfiguration } from '../configuration/load-configuration.ts';
import { checkDevice } from '../diagnosis/check-device.ts';
import { type ExitCode, exitCodes, type Output, printFailure, printRow } from './print.ts';
import { thisPlace } from './this-place.ts';

export type DoctorCommandInput = {
  readonly configurationPath: string;
  readonly json: boolean;
  readonly nowSeconds: number;
};

const marks = { ok: 'ok', warning: 'WARNING', failure: 'FAILURE' } as const;

/** `countersign doctor`: one line for each check. */
export async function doctorCommand(input: DoctorCommandInput, output: Output): Promise<ExitCode> {
  const configuration = loadConfiguration(input.configurationPath);
  if (!configuration.ok) return printFailure(output, configuration);
  const findings = await checkDevice({
    configuration: configuration.value,
    place: thisPlace(),
    nowSeconds: input.nowSeconds,
  });
  if (input.json) {
    output.out(`${JSON.stringify({ findings }, undefined, 2)}\n`);
  } else {
    for (const { check, verdict, detail, remedy } of findings) {
      printRow(output, check, `${marks[verdict]}: ${detail}`);
      if (remedy !== undefined) printRow(output, '', remedy);
    }
  }
  return findings.some(({ verdict }) => verdict === 'failure') ? exitCodes.failed : exitCodes.done;
}
