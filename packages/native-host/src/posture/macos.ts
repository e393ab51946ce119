import type { PostureSwitches } from '@countersign/protocol/posture';
import type { PostureProbe } from './posture-probe.ts';

/** Never tried on macOS: read of what these programs are known to print. None of them needs an administrator. */

const fdesetup = '/usr/bin/fdesetup';
const socketfilterfw = '/usr/libexec/ApplicationFirewall/socketfilterfw';
const sysadminctl = '/usr/sbin/sysadminctl';

/** On, and neither on the way there nor back, nor waiting for a restart: that is said behind it. */
function parseFileVault(output: string): boolean | undefined {
  if (/\bin progress\b/i.test(output) || /^FileVault is Off\b/m.test(output)) return false;
  return /^FileVault is On\.\s*$/m.test(output) ? true : undefined;
}

/** 1: for what is not allowed; 2: for everything. The property list that older systems kept it in is gone since macOS 15. */
function parseFirewall(output: string): boolean | undefined {
  const state = output.match(/\(State = ([012])\)/)?.[1];
  return state === undefined ? undefined : state !== '0';
}

/** Whether a password is asked for after the screen saver or the display's sleep, at once or after some seconds. */
function parseScreenLock(output: string): boolean | undefined {
  if (/screenLock is off\b/i.test(output)) return false;
  return /screenLock (delay )?is (immediate|\d+)/i.test(output) ? true : undefined;
}

export async function readMacosPosture({ run }: PostureProbe): Promise<PostureSwitches> {
  const read = async (
    path: string,
    programArguments: readonly string[],
    parse: (output: string) => boolean | undefined,
  ) => {
    const got = await run(path, programArguments);
    // sysadminctl answers on standard error.
    return got?.exitCode === 0 ? parse(`${got.output}\n${got.errors}`) : undefined;
  };
  const [disk_encryption, firewall, screen_lock] = await Promise.all([
    read(fdesetup, ['status'], parseFileVault),
    read(socketfilterfw, ['--getglobalstate'], parseFirewall),
    read(sysadminctl, ['-screenLock', 'status'], parseScreenLock),
  ]);
  return { disk_encryption, firewall, screen_lock };
}
