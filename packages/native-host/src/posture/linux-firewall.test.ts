import { describe, expect, it, onTestFinished } from 'vitest';
import { PlantedMachine, type Tree } from '../testing/probe-of-tree.ts';
import { readLinuxFirewall } from './linux-firewall.ts';

const units = ['ufw', 'firewalld', 'nftables', 'iptables', 'netfilter-persistent'] as const;
const command = `/usr/bin/systemctl show --no-pager --property=LoadState,ActiveState ${units
  .map((unit) => `${unit}.service`)
  .join(' ')}`;

/** What systemctl shows; units that are not named are not there. */
const shown = (states: Partial<Record<(typeof units)[number], string>>) =>
  units
    .map((unit) =>
      states[unit] === undefined
        ? 'LoadState=not-found\nActiveState=inactive\n'
        : `LoadState=loaded\nActiveState=${states[unit]}\n`,
    )
    .join('\n');

async function verdictOf(
  states: Parameters<typeof shown>[0] | string | { exitCode: number; errors: string },
  files: Tree['files'] = {},
) {
  const machine = new PlantedMachine({ files });
  onTestFinished(() => machine.remove());
  const said =
    typeof states === 'string' || 'exitCode' in states
      ? states
      : shown(states as Parameters<typeof shown>[0]);
  return await readLinuxFirewall(machine.probe({ [command]: said }));
}

const ufw = (enabled: string) => ({
  '/etc/ufw/ufw.conf': `# /etc/ufw/ufw.conf\n#ENABLED=no\nENABLED=${enabled}\nLOGLEVEL=low\n`,
});
const nft = (input: string) => ({
  '/etc/nftables.conf': `#!/usr/sbin/nft -f\nflush ruleset\n\ntable inet filter {\n\tchain input {\n\t\t${input}\n\t}\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n`,
});

describe('the firewall of a Linux system', () => {
  it.each<[string, Parameters<typeof shown>[0], Tree['files'], boolean | undefined]>([
    ['ufw that is enabled', { ufw: 'active' }, ufw('yes'), true],
    ['ufw that is not, whose unit runs from boot on', { ufw: 'active' }, ufw('no'), false],
    ['ufw that is enabled and does not run', { ufw: 'inactive' }, ufw('yes'), false],
    ['ufw whose settings cannot be read', { ufw: 'active' }, {}, undefined],
    ['firewalld that runs', { firewalld: 'active' }, {}, true],
    ['firewalld that has failed', { firewalld: 'failed' }, {}, false],
    ['firewalld that begins', { firewalld: 'activating' }, {}, undefined],
    [
      'nftables with a policy that drops',
      { nftables: 'active' },
      nft('type filter hook input priority filter; policy drop;'),
      true,
    ],
    [
      'nftables as Debian brings it, which lets everything in',
      { nftables: 'active' },
      nft('type filter hook input priority filter;'),
      undefined,
    ],
    [
      'nftables with such a policy in a comment',
      { nftables: 'active' },
      nft('type filter hook input priority filter; # policy drop;'),
      undefined,
    ],
    ['nftables that is not loaded', { nftables: 'inactive' }, {}, false],
    ['rules that only root may read', { iptables: 'active' }, {}, undefined],
    [
      'rules that only root may read, beside ufw that is off',
      { 'netfilter-persistent': 'active', ufw: 'active' },
      ufw('no'),
      undefined,
    ],
    ['one of two that runs', { ufw: 'active', firewalld: 'active' }, ufw('no'), true],
    ['none of these', {}, {}, undefined],
  ])('with %s', async (_, states, files, verdict) => {
    expect(await verdictOf(states, files)).toBe(verdict);
  });

  it('is not known where systemd does not answer, or not so', async () => {
    const offline = { exitCode: 1, errors: 'System has not been booted with systemd' };
    expect(await verdictOf(offline)).toBe(undefined);
    expect(await verdictOf('')).toBe(undefined);
    expect(await verdictOf('LoadState=loaded\nActiveState=active\n')).toBe(undefined);
    const machine = new PlantedMachine({});
    onTestFinished(() => machine.remove());
    expect(await readLinuxFirewall(machine.probe())).toBe(undefined);
  });
});
