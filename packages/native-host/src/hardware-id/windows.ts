import type { HardwareFacts, MachineProbe } from './read-hardware-id.ts';

const powershell = String.raw`C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`;
const reg = String.raw`C:\Windows\System32\reg.exe`;

/** The serial number by CIM; the SMBIOS UUID from the registry, where the boot loader notes it. */
export async function readWindowsHardwareId(probe: MachineProbe): Promise<HardwareFacts> {
  const [serialOutput, registryOutput] = await Promise.all([
    probe.runProgram(powershell, [
      '-NoProfile',
      '-NonInteractive',
      '-Command',
      '(Get-CimInstance -ClassName Win32_BIOS).SerialNumber',
    ]),
    probe.runProgram(reg, ['query', String.raw`HKLM\SYSTEM\HardwareConfig`, '/v', 'LastConfig']),
  ]);
  const hardwareUuid = registryOutput?.match(/LastConfig\s+REG_SZ\s+\{([0-9A-Fa-f-]{36})\}/)?.[1];
  return {
    ...(serialOutput === undefined ? {} : { serialNumber: serialOutput }),
    ...(hardwareUuid === undefined ? {} : { hardwareUuid }),
  };
}
