import type { HardwareFacts, MachineProbe } from './read-hardware-id.ts';

/**
 * SMBIOS facts as the kernel shows them, readable by root alone. `/etc/machine-id` is no substitute: it names an
 * installation, is copied with disk images and changes when one is made anew.
 */
export function readLinuxHardwareId(probe: MachineProbe): HardwareFacts {
  const serialNumber = probe.readText('/sys/class/dmi/id/product_serial');
  const hardwareUuid = probe.readText('/sys/class/dmi/id/product_uuid');
  return {
    ...(serialNumber === undefined ? {} : { serialNumber }),
    ...(hardwareUuid === undefined ? {} : { hardwareUuid }),
  };
}
