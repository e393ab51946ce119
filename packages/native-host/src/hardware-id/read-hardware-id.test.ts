import { describe, expect, it } from 'vitest';
import { type MachineProbe, machineProbe, readHardwareId } from './read-hardware-id.ts';

/** A machine on which only these files can be read and only these programs answer. */
function machine(
  files: Readonly<Record<string, string>>,
  programs: Readonly<Record<string, string>> = {},
): MachineProbe & { readonly started: string[][] } {
  const started: string[][] = [];
  return {
    started,
    readText: (path) => files[path],
    runProgram: async (path, programArguments) => {
      started.push([path, ...programArguments]);
      return programs[path];
    },
  };
}

const unavailable = { ok: false, reason: 'hardware_id_unavailable', detail: expect.any(String) };
const serialPath = '/sys/class/dmi/id/product_serial';
const uuidPath = '/sys/class/dmi/id/product_uuid';
const uuid = '4c4c4544-0051-3510-8052-b4c04f4d3132';

describe('on Linux', () => {
  it('both facts are read from SMBIOS', async () => {
    const probe = machine({ [serialPath]: '5Q5R412\n', [uuidPath]: `${uuid}\n` });
    expect(await readHardwareId('linux', probe)).toEqual({
      ok: true,
      value: { serial_number: '5Q5R412', hardware_uuid: uuid },
    });
    expect(probe.started).toEqual([]);
  });

  it('one fact is enough, and an empty one is none', async () => {
    const probe = machine({ [serialPath]: ' \n', [uuidPath]: uuid });
    expect(await readHardwareId('linux', probe)).toEqual({
      ok: true,
      value: { hardware_uuid: uuid },
    });
  });

  it('the id of the installation is not taken for one of the hardware', async () => {
    const probe = machine({ '/etc/machine-id': '0123456789abcdef0123456789abcdef\n' });
    expect(await readHardwareId('linux', probe)).toEqual(unavailable);
  });

  it('a fact of unreasonable length is none', async () => {
    expect(await readHardwareId('linux', machine({ [serialPath]: 'A'.repeat(129) }))).toEqual(
      unavailable,
    );
  });
});

describe('on macOS', () => {
  // As ioreg prints it, shortened.
  const output = `+-o J314sAP  <class IOPlatformExpertDevice, id 0x100000227, registered, matched, active, busy 0, retain 40>
    {
      "manufacturer" = <"Apple Inc.">
      "IOPlatformUUID" = "5F1C0A2E-8F31-5B52-8C1D-0A7C2D7E4B19"
      "IOPlatformSerialNumber" = "XK4J7C2QHN"
      "model" = <"MacBookPro18,3">
    }`;
  it('both facts are read from the I/O registry', async () => {
    const probe = machine({}, { '/usr/sbin/ioreg': output });
    expect(await readHardwareId('darwin', probe)).toEqual({
      ok: true,
      value: { serial_number: 'XK4J7C2QHN', hardware_uuid: '5F1C0A2E-8F31-5B52-8C1D-0A7C2D7E4B19' },
    });
    expect(probe.started).toEqual([['/usr/sbin/ioreg', '-rd1', '-c', 'IOPlatformExpertDevice']]);
  });

  it.each([['nothing'], ['"IOPlatformUUID" = ""']])('an answer of %j is none', async (text) => {
    expect(await readHardwareId('darwin', machine({}, { '/usr/sbin/ioreg': text }))).toEqual(
      unavailable,
    );
  });
});

describe('on Windows', () => {
  const powershell = String.raw`C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`;
  const reg = String.raw`C:\Windows\System32\reg.exe`;
  const registry = `\r\nHKEY_LOCAL_MACHINE\\SYSTEM\\HardwareConfig\r\n    LastConfig    REG_SZ    {${uuid}}\r\n\r\n`;

  it('both facts are read by programs at fixed paths', async () => {
    const probe = machine({}, { [powershell]: 'PF2ABCDE\r\n', [reg]: registry });
    expect(await readHardwareId('win32', probe)).toEqual({
      ok: true,
      value: { serial_number: 'PF2ABCDE', hardware_uuid: uuid },
    });
  });

  it('one that fails leaves the other', async () => {
    expect(await readHardwareId('win32', machine({}, { [reg]: registry }))).toEqual({
      ok: true,
      value: { hardware_uuid: uuid },
    });
  });
});

it('is unavailable elsewhere', async () => {
  expect(await readHardwareId('aix', machine({}))).toEqual(unavailable);
});

describe.runIf(process.platform !== 'win32')('this machine', () => {
  it('starts programs without a shell and without its own environment', async () => {
    const hostile = ['$(id)', '`id`', ';id', '-n'];
    expect(await machineProbe.runProgram('/bin/echo', hostile)).toBe('$(id) `id` ;id -n\n');
    expect(await machineProbe.runProgram('/usr/bin/env', [])).toBe('');
  });

  it('waits for none longer than two seconds, and minds none that fails', async () => {
    const startedAt = Date.now();
    expect(await machineProbe.runProgram('/bin/sleep', ['8'])).toBeUndefined();
    expect(Date.now() - startedAt).toBeLessThan(6000);
    expect(await machineProbe.runProgram('/bin/false', [])).toBeUndefined();
    expect(await machineProbe.runProgram('/nowhere/program', [])).toBeUndefined();
    expect(machineProbe.readText('/nowhere/file')).toBeUndefined();
  });
});
