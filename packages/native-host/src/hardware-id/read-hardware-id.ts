import { readFileSync } from 'node:fs';
import { type HardwareId, hardwareId } from '@countersign/protocol/enrollment';
import { parseFields } from '@countersign/protocol/schemas';
import { fail, type Result, succeed } from '../result.ts';
import { readLinuxHardwareId } from './linux.ts';
import { readMacosHardwareId } from './macos.ts';
import { readWindowsHardwareId } from './windows.ts';

/** How the readers look at the machine. Tests answer with what real machines said. */
export type MachineProbe = {
  /** The file's text, `undefined` when it cannot be read. */
  readonly readText: (path: string) => string | undefined;
  /** The program's standard output, `undefined` when it failed or took too long. */
  readonly runProgram: (
    path: string,
    programArguments: readonly string[],
  ) => Promise<string | undefined>;
};

/** What was found; empty when the machine does not tell. */
export type HardwareFacts = { readonly serialNumber?: string; readonly hardwareUuid?: string };

/** The facts that name this piece of hardware, as the machine itself tells them. */
export async function readHardwareId(
  platform: NodeJS.Platform = process.platform,
  probe: MachineProbe = machineProbe,
): Promise<Result<HardwareId, 'hardware_id_unavailable'>> {
  const facts = await readFacts(platform, probe);
  const serialNumber = tidy(facts.serialNumber);
  const hardwareUuid = tidy(facts.hardwareUuid);
  const parsed = parseFields(hardwareId, {
    ...(serialNumber === undefined ? {} : { serial_number: serialNumber }),
    ...(hardwareUuid === undefined ? {} : { hardware_uuid: hardwareUuid }),
  });
  return parsed.ok
    ? succeed(parsed.value)
    : fail('hardware_id_unavailable', 'this machine tells neither serial number nor hardware UUID');
}

async function readFacts(platform: NodeJS.Platform, probe: MachineProbe): Promise<HardwareFacts> {
  switch (platform) {
    case 'darwin':
      return readMacosHardwareId(probe);
    case 'linux':
      return readLinuxHardwareId(probe);
    case 'win32':
      return readWindowsHardwareId(probe);
    default:
      return {};
  }
}

function tidy(raw: string | undefined): string | undefined {
  const text = raw?.trim() ?? '';
  return text.length >= 1 && text.length <= 128 ? text : undefined;
}

const programTimeoutMs = 2_000;
const maxOutputBytes = 64 * 1024;

/** This machine. */
export const machineProbe: MachineProbe = {
  readText(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      // Most of these files are readable by root alone, or not there at all.
      return undefined;
    }
  },
  async runProgram(path, programArguments) {
    // Not imported above: in a bundle that would load it for every sign-in.
    const { execFile } = await import('node:child_process');
    return new Promise((resolve) => {
      execFile(
        path,
        programArguments,
        // No shell, and nothing of this process's environment, which may hold an enrollment token.
        { env: {}, timeout: programTimeoutMs, maxBuffer: maxOutputBytes, windowsHide: true },
        (error, output) => resolve(error === null ? output : undefined),
      );
    });
  },
};
