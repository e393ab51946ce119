import type { HardwareFacts, MachineProbe } from './read-hardware-id.ts';

/** The two facts of the I/O registry's platform expert. */
export async function readMacosHardwareId(probe: MachineProbe): Promise<HardwareFacts> {
  const output = await probe.runProgram('/usr/sbin/ioreg', [
    '-rd1',
    '-c',
    'IOPlatformExpertDevice',
  ]);
  const serialNumber = output?.match(/"IOPlatformSerialNumber" = "([^"\n]*)"/)?.[1];
  const hardwareUuid = output?.match(/"IOPlatformUUID" = "([^"\n]*)"/)?.[1];
  return {
    ...(serialNumber === undefined ? {} : { serialNumber }),
    ...(hardwareUuid === undefined ? {} : { hardwareUuid }),
  };
}
