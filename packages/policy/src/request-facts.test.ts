import { expect, it } from 'vitest';
import { requestFacts, withReport } from './request-facts.ts';

const groups = new Set(['staff']);
const asserted = { ip_address: '192.0.2.1', client_type: 'legacy', platform: 'ios' } as const;
const signed = (platform: 'linux' | 'macos' | 'windows' | 'other', os_version: string) =>
  ({ key_protection: 'tpm', posture: { platform, os_version } }) as const;

it('has what the sign-in server said, where no device has signed anything', () => {
  expect(requestFacts('ada', groups, asserted, 'none', undefined)).toEqual({
    user: 'ada',
    groups,
    ipAddress: '192.0.2.1',
    clientType: 'legacy',
    platform: 'ios',
    signedPlatform: undefined,
    channel: 'none',
    keyProtection: 'none',
    posture: {},
  });
});

it('knows nothing of what nobody said', () => {
  expect(requestFacts('ada', groups, {}, 'mtls', undefined)).toMatchObject({
    ipAddress: undefined,
    clientType: undefined,
    platform: undefined,
    channel: 'mtls',
  });
});

it.each([
  ['macos', '14.5', 'macos', '14.5'],
  ['windows', '10.0.22631', 'windows', '10.0.22631'],
  ['linux', 'debian 12', 'other_desktop', '12'],
  ['linux', 'arch', 'other_desktop', undefined],
  ['linux', 'x86_64 unknown', 'other_desktop', undefined],
  ['linux', 'rhel9 8.2', 'other_desktop', '8.2'],
  ['other', '', 'other_desktop', undefined],
] as const)(
  'keeps the word of a device beside the server’s: %s %s',
  (platform, text, known, version) => {
    const facts = requestFacts('ada', groups, asserted, 'extension', signed(platform, text));
    expect(facts).toMatchObject({
      platform: 'ios',
      signedPlatform: known,
      keyProtection: 'tpm',
    });
    expect(facts.posture.osVersion?.device).toBe(version);
  },
);

it('tells apart what the device says of itself and what its management reports', () => {
  const posture = { platform: 'macos', os_version: '14.5', disk_encryption: true } as const;
  const facts = requestFacts('ada', groups, {}, 'extension', {
    key_protection: 'tpm',
    posture: { ...posture, firewall: false, measured_at: 1 },
  });
  expect(facts.posture).toEqual({
    osVersion: { device: '14.5' },
    diskEncryption: { device: true },
    firewall: { device: false },
  });
  const report = {
    disk_encryption: false,
    screen_lock: true,
    platform: 'macos',
    os_version: '14.4',
  } as const;
  expect(withReport(facts.posture, report)).toEqual({
    platform: { mdm: 'macos' },
    osVersion: { device: '14.5', mdm: '14.4' },
    diskEncryption: { device: true, mdm: false },
    firewall: { device: false },
    screenLock: { mdm: true },
  });
  expect(withReport(facts.posture, undefined)).toEqual(facts.posture);
});
