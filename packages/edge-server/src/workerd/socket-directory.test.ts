import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { makeSocketDirectory, removeLeftSocketDirectory } from './socket-directory.ts';

it('makes a folder that only this user can enter', () => {
  const { path, remove } = makeSocketDirectory();
  onTestFinished(remove);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

it('stays within the length that a socket path may have', () => {
  const deep = join(temporaryDirectory(), 'd'.repeat(120));
  mkdirSync(deep);
  const { path, socket, remove } = makeSocketDirectory(deep);
  onTestFinished(remove);
  expect(dirname(path)).toBe('/tmp');
  expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(103);
});

it('removes what a crashed server left, and nothing that a wrong record names', () => {
  const left = makeSocketDirectory();
  writeFileSync(left.socket, '');
  removeLeftSocketDirectory(left.path);
  expect(existsSync(left.path)).toBe(false);

  const foreign = temporaryDirectory();
  const inWrongPlace = join(foreign, 'countersign-edge-abcdef');
  mkdirSync(inWrongPlace);
  const withOtherContent = makeSocketDirectory();
  onTestFinished(withOtherContent.remove);
  writeFileSync(join(withOtherContent.path, 'letters.txt'), 'dear');
  for (const path of [foreign, inWrongPlace, withOtherContent.path, tmpdir(), '/nowhere']) {
    removeLeftSocketDirectory(path);
  }
  expect([foreign, inWrongPlace, withOtherContent.path].map(existsSync)).toEqual([
    true,
    true,
    true,
  ]);
});
