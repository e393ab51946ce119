import { describe, expect, it, onTestFinished } from 'vitest';
import { PlantedMachine, type Tree } from '../testing/probe-of-tree.ts';
import { readLinuxDiskEncryption } from './linux-disk.ts';

const pci = 'devices/pci0000:00/0000:00:1d.0/nvme/nvme0';

/** sysfs of a disk with two partitions, as the kernel shows it. */
const disk = {
  files: {
    [`/sys/${pci}/nvme0n1/nvme0n1p1/partition`]: '1\n',
    [`/sys/${pci}/nvme0n1/nvme0n1p2/partition`]: '2\n',
    [`/sys/${pci}/nvme0n1/dev`]: '259:0\n',
  },
  links: {
    '/sys/dev/block/259:1': `../../${pci}/nvme0n1/nvme0n1p1`,
    '/sys/dev/block/259:2': `../../${pci}/nvme0n1/nvme0n1p2`,
    '/sys/class/block/nvme0n1p1': `../../${pci}/nvme0n1/nvme0n1p1`,
    '/sys/class/block/nvme0n1p2': `../../${pci}/nvme0n1/nvme0n1p2`,
  },
};

/** sysfs of one mapped device upon others. */
function mapped(number: number, uuid: string, slaves: Readonly<Record<string, string>>): Tree {
  const place = `devices/virtual/block/dm-${number}`;
  return {
    files: { [`/sys/${place}/dm/uuid`]: `${uuid}\n` },
    links: {
      [`/sys/dev/block/253:${number}`]: `../../${place}`,
      [`/sys/class/block/dm-${number}`]: `../../${place}`,
      ...Object.fromEntries(
        Object.entries(slaves).map(([name, target]) => [
          `/sys/${place}/slaves/${name}`,
          `../../../../../${target}`,
        ]),
      ),
    },
  };
}
const partition = { nvme0n1p2: `${pci}/nvme0n1/nvme0n1p2` };
const onDm = (number: number) => ({ [`dm-${number}`]: `devices/virtual/block/dm-${number}` });
const luks = (number: number, slaves: Readonly<Record<string, string>> = partition) =>
  mapped(number, 'CRYPT-LUKS2-6f1e0c1d2b3a4958a7b6c5d4e3f20110-luks-6f1e0c1d', slaves);

const mount = (device: string, path: string, type = 'ext4', source = '/dev/x') =>
  `27 1 ${device} / ${path} rw,relatime shared:1 - ${type} ${source} rw\n`;

function verdictOf(mounts: string, ...trees: readonly Tree[]): boolean | undefined {
  const all: readonly Tree[] = [disk, ...trees];
  const machine = new PlantedMachine({
    files: Object.assign({ '/proc/self/mountinfo': mounts }, ...all.map(({ files }) => files)),
    links: Object.assign({}, ...all.map(({ links }) => links)),
    folders: all.flatMap(({ folders = [] }) => folders),
  });
  onTestFinished(() => machine.remove());
  return readLinuxDiskEncryption(machine.probe());
}

describe('the disk of a Linux system', () => {
  it('is not encrypted where the root is on a plain partition', () => {
    expect(verdictOf(mount('259:2', '/'))).toBe(false);
  });

  it('is where it is on LUKS, and where LVM is between', () => {
    expect(verdictOf(mount('253:0', '/'), luks(0))).toBe(true);
    const volume = mapped(1, 'LVM-pS7dVJkQ0', onDm(0));
    expect(verdictOf(mount('253:1', '/'), luks(0), volume)).toBe(true);
    // And the other way around.
    const below = mapped(0, 'LVM-pS7dVJkQ0', partition);
    expect(verdictOf(mount('253:1', '/'), below, luks(1, onDm(0)))).toBe(true);
  });

  it.each([
    'CRYPT-VERITY-6f1e0c1d2b3a4958a7b6c5d4e3f20110-root',
    'CRYPT-INTEGRITY-root',
    'CRYPT-SUBDEV-root',
    'LVM-pS7dVJkQ0',
    'mpath-3600508b400105e210000900000490000',
  ])('is not where the device only bears such a name: %s', (uuid) => {
    expect(verdictOf(mount('253:0', '/'), mapped(0, uuid, partition))).toBe(false);
    const upon = mapped(1, uuid, onDm(0));
    expect(verdictOf(mount('253:1', '/'), luks(0), upon)).toBe(true);
  });

  it.each(['CRYPT-LUKS1-a-b', 'CRYPT-PLAIN-b', 'CRYPT-BITLK-a-b', 'CRYPT-TCRYPT-b'])(
    'is by each of the ways that cryptsetup has: %s',
    (uuid) => {
      expect(verdictOf(mount('253:0', '/'), mapped(0, uuid, partition))).toBe(true);
    },
  );

  it('is encrypted only where all of its parts are', () => {
    const half = mapped(2, 'LVM-pS7dVJkQ0', { ...onDm(0), ...partition });
    expect(verdictOf(mount('253:2', '/'), luks(0), half)).toBe(false);
    const whole = mapped(2, 'LVM-pS7dVJkQ0', { ...onDm(0), ...onDm(1) });
    expect(verdictOf(mount('253:2', '/'), luks(0), luks(1), whole)).toBe(true);
  });

  it("looks at the person's own files, too", () => {
    const root = mount('253:0', '/');
    expect(verdictOf(root + mount('259:2', '/home'), luks(0))).toBe(false);
    expect(verdictOf(root + mount('253:1', '/home'), luks(0), luks(1))).toBe(true);
    expect(verdictOf(mount('259:2', '/') + mount('253:1', '/home'), luks(1))).toBe(false);
    expect(verdictOf(root + mount('259:2', '/homes'), luks(0))).toBe(true);
    expect(verdictOf(root + mount('259:2', '/home/ad\\141'), luks(0))).toBe(false);
    // What is mounted over something hides it.
    const hidden = mount('259:2', '/home') + mount('253:1', '/home');
    expect(verdictOf(root + hidden, luks(0), luks(1))).toBe(true);
    const moved = { links: { '/home': 'var/home' }, folders: ['/var/home/ada'] };
    expect(verdictOf(root + mount('259:2', '/var/home'), luks(0), moved)).toBe(false);
  });

  it('looks at every device that a btrfs is on', () => {
    const root = mount('0:31', '/', 'btrfs', '/dev/mapper/luks-root');
    const node = { files: { '/dev/dm-0': '' }, links: { '/dev/mapper/luks-root': '../dm-0' } };
    expect(verdictOf(root, luks(0), node)).toBe(true);
    const members = (...names: string[]) => ({
      folders: names.map((name) => `/sys/fs/btrfs/0f9a/devices/${name}`),
    });
    expect(verdictOf(root, luks(0), luks(1), node, members('dm-0', 'dm-1'))).toBe(true);
    expect(verdictOf(root, luks(0), node, members('dm-0', 'nvme0n1p1'))).toBe(false);
  });

  it.each<[string, string, ...Tree[]]>([
    ['an overlay', mount('0:44', '/', 'overlay', 'overlay')],
    ['a file system of the network', mount('0:44', '/', 'nfs4', 'server:/export')],
    ['ZFS, which encrypts by itself or not', mount('0:25', '/', 'zfs', 'rpool/ROOT')],
    ['a device that sysfs does not have', mount('8:1', '/')],
    ['nothing that is mounted', ''],
    ['mounts that are none', 'a b c\n'],
    [
      'a loop device, whose file may lie anywhere',
      mount('7:0', '/'),
      {
        files: { '/sys/devices/virtual/block/loop0/dev': '7:0\n' },
        links: { '/sys/dev/block/7:0': '../../devices/virtual/block/loop0' },
      },
    ],
    ['a mapped device upon nothing', mount('253:0', '/'), mapped(0, 'LVM-x', {})],
    [
      'mapped devices that go round',
      mount('253:0', '/'),
      mapped(0, 'LVM-x', onDm(1)),
      mapped(1, 'LVM-y', onDm(0)),
    ],
    ['half of what is not known', mount('253:0', '/') + mount('0:44', '/home', 'nfs4'), luks(0)],
  ])('is not known on %s', (_, mounts, ...trees) => {
    expect(verdictOf(mounts, ...trees)).toBe(undefined);
  });
});
