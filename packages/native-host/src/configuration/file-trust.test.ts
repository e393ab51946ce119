import { describe, expect, it } from 'vitest';
import { findOutsideInfluence, type PathFacts } from './file-trust.ts';

const directory: PathFacts = { uid: 0, mode: 0o40755, isSymbolicLink: false };
const plainFile: PathFacts = { uid: 0, mode: 0o100644, isSymbolicLink: false };
const linkTo = (linkTarget: string, uid = 0): PathFacts => ({
  uid,
  mode: 0o120777,
  isSymbolicLink: true,
  linkTarget,
});

const installed: Record<string, PathFacts> = {
  '/': directory,
  '/etc': directory,
  '/etc/countersign': directory,
  '/etc/countersign/host.json': plainFile,
};

function find(path: string, changes: Record<string, PathFacts> = {}): string | undefined {
  const all = { ...installed, ...changes };
  return findOutsideInfluence(path, (asked) => {
    const facts = all[asked];
    if (facts === undefined) throw new Error(`nobody should look at ${asked}`);
    return facts;
  });
}

const path = '/etc/countersign/host.json';

describe('nobody but root has influence', () => {
  it('on a file of root in folders of root', () => {
    expect(find(path)).toBeUndefined();
  });

  it('through links of root to what root alone may change', () => {
    const changes = {
      '/etc/countersign': linkTo('../nix/store/configuration'),
      '/nix': directory,
      '/nix/store': directory,
      '/nix/store/configuration': directory,
      '/nix/store/configuration/host.json': linkTo('/etc/shared.json'),
      '/etc/shared.json': plainFile,
    };
    expect(find(path, changes)).toBeUndefined();
  });
});

describe('somebody else has influence', () => {
  it.each(Object.keys(installed))('when %s belongs to a user', (where) => {
    const facts = { ...(installed[where] ?? directory), uid: 1000 };
    expect(find(path, { [where]: facts })).toBe(`${where} belongs to uid 1000, not to root`);
  });

  it.each(
    Object.keys(installed).flatMap((where) =>
      [0o020, 0o002, 0o1002].map((bits): [string, number] => [where, bits]),
    ),
  )('when %s has the bits %o', (where, bits) => {
    const before = installed[where] ?? directory;
    const facts = { ...before, mode: before.mode | bits };
    expect(find(path, { [where]: facts })).toBe(`${where} may be written by others than root`);
  });

  it('through a link of a user', () => {
    expect(find(path, { [path]: linkTo('/etc/countersign/other', 1000) })).toMatch('uid 1000');
  });

  it('through a link of root into a folder of a user', () => {
    const changes = {
      [path]: linkTo('/home/user/host.json'),
      '/home': directory,
      '/home/user': { ...directory, uid: 1000 },
    };
    expect(find(path, changes)).toMatch('/home/user belongs to uid 1000');
  });

  it('through a link that climbs above where it stands', () => {
    const changes = {
      [path]: linkTo('../../tmp/host.json'),
      '/tmp': { ...directory, mode: 0o41777 },
    };
    expect(find(path, changes)).toBe('/tmp may be written by others than root');
  });
});

it('ends with links that go round in circles', () => {
  const changes = { [path]: linkTo('host.json') };
  expect(find(path, changes)).toMatch('too many symbolic links');
});

it('looks at the real disk when nothing else is given', () => {
  // Everybody's: mode 1777.
  expect(findOutsideInfluence('/tmp')).toBe('/tmp may be written by others than root');
});
