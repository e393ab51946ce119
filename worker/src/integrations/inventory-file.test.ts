import { describe, expect, it } from 'vitest';
import { maxInventoryRows, parseInventory } from './inventory-file.ts';

const uuid = 'ebbff74d-b1a2-4c3d-8e4f-001122334455';
const normalUuid = 'EBBFF74DB1A24C3D8E4F001122334455';

describe('parseInventory', () => {
  it('reads columns by their names, in any spelling of CSV', () => {
    const rows = [
      { serialNumber: 'C02ABC123', hardwareUuid: normalUuid },
      { serialNumber: 'PF1XYZ', hardwareUuid: '' },
    ];
    for (const text of [
      `serial_number,hardware_uuid\nC02ABC123,${uuid}\nPF1XYZ,\n`,
      `\ufeffHardware_UUID , Serial_Number\r\n{${uuid}}, c02abc123\r\n,pf1-xyz`,
      `serial_number,note,hardware_uuid\n\n"C02ABC123","a ""note"", or two",${uuid}\n  \nPF1XYZ,,\n\n`,
    ]) {
      expect(parseInventory(text)).toEqual({ ok: true, rows });
    }
    expect(parseInventory('serial_number\nC02ABC123')).toMatchObject({ ok: true });
  });

  it('reads what a file says of how devices are kept', () => {
    const text = [
      'serial_number,Disk_Encryption,firewall,screen_lock,os_version,platform',
      'C02ABC123,true,FALSE,,14.5,macOS',
      'PF1XYZ,,,,,',
    ].join('\n');
    expect(parseInventory(text)).toEqual({
      ok: true,
      rows: [
        {
          serialNumber: 'C02ABC123',
          hardwareUuid: '',
          posture: {
            disk_encryption: true,
            firewall: false,
            platform: 'macos',
            os_version: '14.5',
          },
        },
        { serialNumber: 'PF1XYZ', hardwareUuid: '' },
      ],
    });
  });

  it('names the line that is wrong, and takes nothing then', () => {
    const table: ReadonlyArray<[string, number, RegExp]> = [
      ['', 1, /must name the columns/],
      ['serial\nC02ABC123', 1, /must name the columns/],
      ['serial_number,serial_number\nA,B', 1, /must name the columns/],
      ['firewall\ntrue', 1, /must name the columns/],
      ['serial_number\n', 2, /no device/],
      ['serial_number,firewall\nC02ABC123,yes', 2, /firewall must be true, false or empty/],
      ['serial_number,platform\nC02ABC123,Solaris', 2, /platform must be one of ios, .* or empty/],
      ['serial_number,os_version\nC02ABC123,Sonoma', 2, /os_version must be numbers with dots/],
      ['serial_number,firewall\n,true', 2, /neither/],
      ['serial_number\nC02ABC123\nC02;ABC', 3, /serial_number is malformed/],
      ['serial_number\nC02ABC123\n\nNone', 4, /serial_number is a placeholder/],
      ['serial_number,hardware_uuid\nC02ABC123,1234', 2, /hardware_uuid is malformed/],
      ['serial_number,hardware_uuid\n,', 2, /neither/],
      ['serial_number,hardware_uuid\nC02ABC123', 2, /has 1 fields, the header 2/],
      ['serial_number\nC02ABC123,more', 2, /has 2 fields, the header 1/],
      ['serial_number,note\nC02ABC123,"a', 2, /quotes/],
      ['serial_number,note\nC02ABC123,a"b"', 2, /quotes/],
      ['serial_number\nC02ABC123\nPF1XYZ\nc02-abc-123', 4, /line 2 again/],
      [`serial_number,hardware_uuid\nC02ABC123,${uuid}\nPF1XYZ,${uuid}`, 3, /line 2 again/],
    ];
    for (const [text, line, detail] of table) {
      expect({ text, ...parseInventory(text) }).toEqual({
        text,
        ok: false,
        line,
        detail: expect.stringMatching(detail),
      });
    }
  });

  it('has a largest size', () => {
    const lines = Array.from({ length: maxInventoryRows }, (_, at) => `SERIAL${at}`);
    const text = ['serial_number', ...lines].join('\n');
    expect(parseInventory(text)).toMatchObject({ ok: true });
    expect(parseInventory(`${text}\nONEMORE`)).toMatchObject({
      ok: false,
      line: maxInventoryRows + 2,
    });
  });
});
