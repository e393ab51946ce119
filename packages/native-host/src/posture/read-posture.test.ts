import { posture } from '@countersign/protocol/device-response';
import { describe, expect, it } from 'vitest';
import { readPosture } from './read-posture.ts';

function on(platform: NodeJS.Platform, files: Readonly<Record<string, string>> = {}) {
  return readPosture({ platform, kernelRelease: '6.1.0', readText: (path) => files[path] });
}

describe('readPosture', () => {
  it.each([
    [
      'debian',
      'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n',
      'debian 12',
    ],
    ['ubuntu', "ID=ubuntu\nID_LIKE=debian\nVERSION_ID='24.04'\n", 'ubuntu 24.04'],
    ['a rolling distribution', 'NAME="Arch Linux"\nID=arch\nBUILD_ID=rolling\n', 'arch'],
    ['a file that says nothing', 'NAME=x\n', '6.1.0'],
  ])('reads %s', (_, osRelease, version) => {
    expect(on('linux', { '/etc/os-release': osRelease })).toEqual({
      platform: 'linux',
      os_version: version,
    });
  });

  it('looks in the second place that os-release(5) names', () => {
    expect(on('linux', { '/usr/lib/os-release': 'ID=fedora\nVERSION_ID=41' }).os_version).toBe(
      'fedora 41',
    );
  });

  it('reads the version of macOS, not that of its kernel', () => {
    const plist = '<dict>\n\t<key>ProductVersion</key>\n\t<string>15.2</string>\n</dict>';
    expect(on('darwin', { '/System/Library/CoreServices/SystemVersion.plist': plist })).toEqual({
      platform: 'macos',
      os_version: '15.2',
    });
  });

  it.each([
    ['win32', 'windows'],
    ['freebsd', 'other'],
  ] as const)('gives the release of the kernel on %s', (platform, name) => {
    expect(on(platform)).toEqual({ platform: name, os_version: '6.1.0' });
  });

  it('keeps to the size of the message', () => {
    expect(on('linux', { '/etc/os-release': `ID=${'x'.repeat(500)}` }).os_version).toHaveLength(
      128,
    );
  });

  it('of this machine fits the message', () => {
    expect(posture.parse(readPosture()).os_version).not.toBe('');
  });
});
