import { describe, expect, it } from 'vitest';
import { lines, rows, table } from './command.ts';
import { printable, printSection } from './print.ts';

describe('what is printed', () => {
  it('is a table whose columns stand below each other, the last one at its own length', () => {
    const section = table(
      ['device', 'name'],
      [
        ['a', 'one'],
        ['long-id', 'two'],
      ],
    );
    expect(printSection(section)).toEqual(['DEVICE   NAME', 'a        one', 'long-id  two']);
    expect(printSection(table(['a'], [], 'Nothing waits.'))).toEqual(['Nothing waits.']);
  });

  it('is label and value, without those that are not there', () => {
    expect(printSection(rows(['id', 'x'], ['reason', undefined], ['status', 'y']))).toEqual([
      'id      x',
      'status  y',
    ]);
  });

  it.each([
    ['moves no cursor', 'a\u001b[2J\u001b[Hb', 'a [2J [Hb'],
    ['writes no title', '\u001b]0;x\u0007name', ' ]0;x name'],
    ['has no 8-bit control', 'a\u009b31mb', 'a 31mb'],
    ['begins no line', 'a\r\nstatus  active', 'a status  active'],
    ['turns no direction', 'a\u202egnp.exe', 'a gnp.exe'],
    ['hides nothing', 'ad\u200bmin\u2028x', 'ad min x'],
  ])('%s', (_, hostile, harmless) => {
    expect(printable(hostile)).toBe(harmless);
    expect(printSection(rows(['name', hostile]))).toEqual([`name  ${harmless}`]);
    expect(printSection(table(['name', 'x'], [[hostile, 'y']]))[1]).toBe(
      `${harmless.padEnd(Math.max(4, harmless.length))}  y`,
    );
  });

  it('keeps the lines of a script, and nothing else that controls', () => {
    expect(printSection(lines('#!/bin/sh\necho \u001b[1m'))).toEqual(['#!/bin/sh', 'echo  [1m']);
  });
});
