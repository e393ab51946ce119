import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ensurePrivateFolder,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from './private-file.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-private-'));
  file = join(folder, 'file');
});
afterEach(() => rmSync(folder, { recursive: true }));

const modeOf = (path: string) => statSync(path).mode & 0o777;
const text = (content: string) => Buffer.from(content);

describe('ensurePrivateFolder', () => {
  it('makes the folder and those above it', () => {
    const path = join(folder, 'a', 'b');
    expect(ensurePrivateFolder(path).ok).toBe(true);
    expect(modeOf(path)).toBe(0o700);
    expect(ensurePrivateFolder(path).ok).toBe(true);
  });

  it.each([0o755, 0o750, 0o701, 0o777])('refuses one of mode %o, and leaves it so', (mode) => {
    chmodSync(folder, mode);
    expect(ensurePrivateFolder(folder)).toMatchObject({ ok: false, reason: 'exposed' });
    expect(modeOf(folder)).toBe(mode);
  });

  it('refuses a file in its place, and a folder that cannot be made', () => {
    writeFileSync(file, '');
    expect(ensurePrivateFolder(file)).toMatchObject({ ok: false, reason: 'unavailable' });
    expect(ensurePrivateFolder(join(file, 'below'))).toMatchObject({ reason: 'unavailable' });
  });
});

describe('writePrivateFile and readPrivateFile', () => {
  it('keep bytes, in mode 0600 whatever the umask says, and leave nothing else behind', () => {
    const umask = process.umask(0);
    expect(writePrivateFile(file, text('content'))).toEqual({
      ok: true,
      value: { wasKept: false },
    });
    process.umask(umask);
    expect(modeOf(file)).toBe(0o600);
    expect(readPrivateFile(file, 100)).toMatchObject({ ok: true });
    expect(readFileSync(file, 'utf8')).toBe('content');
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('replace a file, or keep it', () => {
    writePrivateFile(file, text('first'));
    expect(writePrivateFile(file, text('second'), { keepExisting: true })).toEqual({
      ok: true,
      value: { wasKept: true },
    });
    expect(readFileSync(file, 'utf8')).toBe('first');
    writePrivateFile(file, text('third'));
    expect(readFileSync(file, 'utf8')).toBe('third');
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('read up to the limit and not beyond', () => {
    writePrivateFile(file, text('12345'));
    expect(readPrivateFile(file, 5)).toMatchObject({ ok: true });
    expect(readPrivateFile(file, 4)).toMatchObject({ ok: false, reason: 'too_large' });
  });

  it.each([0o640, 0o604, 0o660, 0o644])('refuse a file of mode %o', (mode) => {
    writePrivateFile(file, text('content'));
    chmodSync(file, mode);
    expect(readPrivateFile(file, 100)).toMatchObject({
      ok: false,
      reason: 'exposed',
      detail: `${file} has mode 0${mode.toString(8)}: others may use it; it must be 0600`,
    });
  });

  it('refuse a private file in a folder that others may enter', () => {
    writePrivateFile(file, text('content'));
    chmodSync(folder, 0o711);
    expect(readPrivateFile(file, 100)).toMatchObject({ ok: false, reason: 'exposed' });
  });

  it('follow no link, read no folder, and say what is missing', () => {
    writePrivateFile(file, text('content'));
    symlinkSync(file, join(folder, 'link'));
    mkdirSync(join(folder, 'folder'), { mode: 0o700 });
    expect(readPrivateFile(join(folder, 'link'), 100)).toMatchObject({ reason: 'unavailable' });
    expect(readPrivateFile(join(folder, 'folder'), 100)).toMatchObject({ reason: 'unavailable' });
    expect(readPrivateFile(join(folder, 'none'), 100)).toMatchObject({ reason: 'missing' });
    expect(readPrivateFile(join(folder, 'none', 'none'), 100)).toMatchObject({ reason: 'missing' });
  });

  it('report a folder that cannot be written into', () => {
    expect(writePrivateFile(join(folder, 'none', 'file'), text(''))).toMatchObject({ ok: false });
  });
});

describe('removePrivateFile', () => {
  it('removes, and has nothing against there being nothing', () => {
    writePrivateFile(file, text('content'));
    expect(removePrivateFile(file).ok).toBe(true);
    expect(removePrivateFile(file).ok).toBe(true);
    expect(readdirSync(folder)).toEqual([]);
  });
});
