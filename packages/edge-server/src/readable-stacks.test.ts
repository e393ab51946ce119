import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStackReader } from './readable-stacks.ts';

let folder: string;
let bundle: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-stacks-'));
  bundle = join(folder, 'index.js');
  // Column 1 is app.ts:1:1, column 11 is app.ts:3:3.
  const map = { version: 3, names: [], mappings: 'AAAA,UAEE' };
  const sources = ['../../worker/src/http/app.ts'];
  writeFileSync(`${bundle}.map`, JSON.stringify({ ...map, sources }));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('createStackReader', () => {
  it('names the places in the source', () => {
    const line = JSON.stringify({
      event: 'failed',
      error:
        'Error: no\n    at async xY (index.js:1:12)\n    at index.js:1:1\n    at b.c [as d] (index.js:1:11)',
    });
    expect(JSON.parse(createStackReader(bundle)(line))).toEqual({
      event: 'failed',
      error:
        'Error: no\n    at async xY (worker/src/http/app.ts:3:4)\n    at worker/src/http/app.ts:1:1\n    at b.c [as d] (worker/src/http/app.ts:3:3)',
    });
  });

  it.each([
    ['{"event":"enrolled","detail":"index.js:1:1"}'],
    ['at (index.js:99999999999:1)'],
    ['at node:internal/index.ts:1:1'],
    [`at ${'x'.repeat(5000)} (index.js:1:1)`],
  ])('leaves other lines as they are: %s', (line) => {
    expect(createStackReader(bundle)(line)).toBe(line);
  });

  it('leaves the places of a bundle without a source map', () => {
    const line = '    at xY (index.js:1:12)';
    expect(createStackReader(join(folder, 'other.js'))(line)).toBe(line);
    writeFileSync(join(folder, 'broken.js.map'), '{"version":3');
    expect(createStackReader(join(folder, 'broken.js'))(line)).toBe(line);
  });
});
