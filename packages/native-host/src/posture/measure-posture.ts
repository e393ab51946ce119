import type { PostureSwitches } from '@countersign/protocol/posture';
import { readLinuxDiskEncryption } from './linux-disk.ts';
import { readLinuxFirewall } from './linux-firewall.ts';
import { readLinuxScreenLock } from './linux-screen-lock.ts';
import { readMacosPosture } from './macos.ts';
import { machineProbe, type PostureProbe } from './posture-probe.ts';
import { readWindowsPosture } from './windows.ts';

/** Looks at disk, firewall and screen lock. What is not known is left out. */
export async function measurePosture(
  probe: PostureProbe = machineProbe(),
): Promise<PostureSwitches> {
  const { disk_encryption, firewall, screen_lock } = await readSwitches(probe);
  return {
    ...(disk_encryption === undefined ? {} : { disk_encryption }),
    ...(firewall === undefined ? {} : { firewall }),
    ...(screen_lock === undefined ? {} : { screen_lock }),
  };
}

async function readSwitches(probe: PostureProbe): Promise<PostureSwitches> {
  switch (probe.platform) {
    case 'linux': {
      const [firewall, screen_lock] = await Promise.all([
        readLinuxFirewall(probe),
        readLinuxScreenLock(probe),
      ]);
      return { disk_encryption: readLinuxDiskEncryption(probe), firewall, screen_lock };
    }
    case 'darwin':
      return await readMacosPosture(probe);
    case 'win32':
      return await readWindowsPosture(probe);
    default:
      return {};
  }
}
