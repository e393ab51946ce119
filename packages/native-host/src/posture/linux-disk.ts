import { all, type PostureProbe } from './posture-probe.ts';

/**
 * Whether the disks that the system and the person's own files are on are encrypted by this system, without asking root:
 * mounts name block devices (proc(5), `/proc/self/mountinfo`), and sysfs says what each of these is made of.
 */

type Mount = {
  /** `major:minor` */
  readonly device: string;
  readonly path: string;
  readonly type: string;
  readonly source: string;
};

/** Spaces and their like are written as three octal digits. */
const withoutEscapes = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));

function parseMounts(mountInfo: string): Mount[] {
  return mountInfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , device, , path] = before.split(' ');
    const [type, source] = after.split(' ');
    return device === undefined || path === undefined || type === undefined || source === undefined
      ? []
      : [{ device, path: withoutEscapes(path), type, source: withoutEscapes(source) }];
  });
}

/** What a path is on: of mounts at the same place the last one is seen. */
function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const isAround = mount.path === '/' || path === mount.path || path.startsWith(`${mount.path}/`);
    if (isAround && mount.path.length >= (found?.path.length ?? 0)) found = mount;
  }
  return found;
}

const blockDevice = (probe: PostureProbe, name: string) =>
  probe.realPath(`/sys/class/block/${name}`);
const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/** The block devices of a file system, as places in sysfs; empty where it is not on any that is known. */
function devicesOf(probe: PostureProbe, { device, type, source }: Mount): (string | undefined)[] {
  if (!device.startsWith('0:')) return [probe.realPath(`/sys/dev/block/${device}`)];
  // btrfs has a number of its own, and may be on several devices.
  if (type !== 'btrfs') return [];
  const node = probe.realPath(source);
  if (node === undefined) return [];
  const first = nameOf(node);
  const members = (probe.listFolder('/sys/fs/btrfs') ?? [])
    .map((uuid) => probe.listFolder(`/sys/fs/btrfs/${uuid}/devices`) ?? [])
    .find((names) => names.includes(first));
  return (members ?? [first]).map((name) => blockDevice(probe, name));
}

/** Of cryptsetup's device types those that encrypt: CRYPT-VERITY and CRYPT-INTEGRITY do not. */
const encrypting = /^CRYPT-(LUKS[12]|PLAIN|LOOPAES|TCRYPT|BITLK|FVAULT2)-/;
/** Disks. What else a stack may end at (loop, nbd, zram) may or may not be encrypted below. */
const disk = /^(sd|hd|vd|xvd|nvme|mmcblk|pmem)/;
const deepest = 8;

/** @param path of a block device in sysfs */
function isEncrypted(
  probe: PostureProbe,
  path: string | undefined,
  depth = 0,
): boolean | undefined {
  if (path === undefined || depth > deepest) return undefined;
  const uuid = probe.readText(`${path}/dm/uuid`)?.trim();
  if (uuid !== undefined && encrypting.test(uuid)) return true;
  const slaves = probe.listFolder(`${path}/slaves`) ?? [];
  if (slaves.length > 0) {
    return all(
      slaves.map((name) => isEncrypted(probe, probe.realPath(`${path}/slaves/${name}`), depth + 1)),
    );
  }
  if (probe.readText(`${path}/partition`) !== undefined) {
    return isEncrypted(probe, path.slice(0, path.lastIndexOf('/')), depth + 1);
  }
  return uuid === undefined && disk.test(nameOf(path)) ? false : undefined;
}

export function readLinuxDiskEncryption(probe: PostureProbe): boolean | undefined {
  const mounts = parseMounts(probe.readText('/proc/self/mountinfo') ?? '');
  const home = probe.realPath(probe.homeDirectory) ?? probe.homeDirectory;
  return all(
    ['/', home].map((path) => {
      const mount = mountOf(mounts, path);
      const devices = mount === undefined ? [] : devicesOf(probe, mount);
      return all(devices.map((device) => isEncrypted(probe, device)));
    }),
  );
}
