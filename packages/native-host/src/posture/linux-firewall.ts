import type { PostureProbe } from './posture-probe.ts';

/**
 * What a person without rights can know of a firewall: which programs that set one up are here, and whether they run. The
 * rules themselves only root may read, so one that is set up by hand is not known, and none of these means unknown.
 */

const systemctl = '/usr/bin/systemctl';
const units = [
  'ufw.service',
  'firewalld.service',
  'nftables.service',
  'iptables.service',
  'netfilter-persistent.service',
] as const;
type Unit = (typeof units)[number];

type UnitState = 'missing' | 'on' | 'off' | 'unknown';

function parseState(block: string): UnitState {
  const propertyOf = (name: string) => block.match(new RegExp(`^${name}=(.*)$`, 'm'))?.[1];
  if (propertyOf('LoadState') !== 'loaded') return 'missing';
  const active = propertyOf('ActiveState');
  if (active === 'active') return 'on';
  return active === 'inactive' || active === 'failed' ? 'off' : 'unknown';
}

/** What an active unit comes to. */
const meaningOf: Readonly<Record<Unit, (probe: PostureProbe) => UnitState>> = {
  // Its unit is active from boot on, whether it is enabled or not.
  'ufw.service': ({ readText }) => {
    const enabled = readText('/etc/ufw/ufw.conf')?.match(/^\s*ENABLED\s*=\s*"?(\w+)/im)?.[1];
    if (enabled === undefined) return 'unknown';
    return enabled.toLowerCase() === 'yes' ? 'on' : 'off';
  },
  'firewalld.service': () => 'on',
  // Loads a file, which may let everything in, as the one that Debian brings does.
  'nftables.service': ({ readText }) => {
    const rules = readText('/etc/nftables.conf') ?? readText('/etc/sysconfig/nftables.conf') ?? '';
    const withoutComments = rules.replace(/#.*$/gm, '');
    return /\bhook\s+input\b[^;{}]*;?[^{}]*\bpolicy\s+drop\b/.test(withoutComments)
      ? 'on'
      : 'unknown';
  },
  'iptables.service': () => 'unknown',
  'netfilter-persistent.service': () => 'unknown',
};

export async function readLinuxFirewall(probe: PostureProbe): Promise<boolean | undefined> {
  const shown = await probe.run(systemctl, [
    'show',
    '--no-pager',
    '--property=LoadState,ActiveState',
    ...units,
  ]);
  if (shown === undefined || shown.exitCode !== 0) return undefined;
  const blocks = shown.output.trim().split(/\n\s*\n/);
  if (blocks.length !== units.length) return undefined;
  const states = units.map((unit, place) => {
    const state = parseState(blocks[place] ?? '');
    return state === 'on' ? meaningOf[unit](probe) : state;
  });
  if (states.includes('on')) return true;
  return states.includes('unknown') || !states.includes('off') ? undefined : false;
}
