import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logEvent } from '@countersign/protocol/system-log';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { runProgram } from '../command-line/run.ts';
import { commands } from './index.ts';

const top = mkdtempSync(join(tmpdir(), 'countersign-log-files-'));
afterAll(() => rmSync(top, { recursive: true }));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(top, 'test-'));
});
const file = (name: string) => join(folder, name);

/** Runs a command at a broker that answers by path and query. */
async function run(args: readonly string[], answer: (query: URLSearchParams) => Response) {
  let said = '';
  const code = await runProgram(commands, args, {
    environment: { COUNTERSIGN_BROKER_URL: 'https://b.example', COUNTERSIGN_ADMIN_TOKEN: 'cadm_x' },
    out: () => undefined,
    error: (text) => {
      said += text;
    },
    isTerminal: false,
    nowMs: () => 0,
    sleep: async () => undefined,
    fetch: async (url) => answer(new URL(String(url)).searchParams),
  });
  return { code, said };
}

const event = (sequence: number) => ({
  uuid: Buffer.alloc(32, sequence).toString('base64url'),
  published: '2026-01-01T00:00:00.000Z',
  eventType: 'pki.cert.issue',
  displayMessage: 'x',
  severity: 'INFO',
  outcome: { result: 'SUCCESS' },
  actor: { type: 'system' },
  debugContext: { debugData: {} },
  record: { chain: '0', sequence },
});

/** One event on each page. */
const page = (query: URLSearchParams, last: number) => {
  const after = Number(query.get('after') ?? '0');
  const events = after < last ? [event(after + 1)] : [];
  return Response.json({ events, next: String(after + events.length), more: after + 1 < last });
};
const exported = () =>
  readFileSync(file('log'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => logEvent.parse(JSON.parse(line)).record.sequence);

it.each(['search', 'export'])(
  'log %s is told where a star may stand, before anybody is asked',
  async (verb) => {
    const args = [
      'log',
      verb,
      ...(verb === 'export' ? [file('log')] : []),
      '--type',
      'admin.user*',
    ];
    const ran = await run(args, () => expect.unreachable('it was asked'));
    expect(ran).toMatchObject({
      code: 2,
      said: expect.stringContaining('--type may have a star only as .*'),
    });
    expect(() => statSync(file('log'))).toThrow('ENOENT');
  },
);

describe('an export of the log', () => {
  const args = () => ['log', 'export', file('log'), '--cursor', file('cursor')];

  it('that is broken off goes on behind what it has, with no event missing and none twice', async () => {
    const broken = await run(args(), (query) =>
      query.get('after') === '2' ? new Response('gateway', { status: 502 }) : page(query, 4),
    );
    expect(broken.code).toBe(3);
    expect(exported()).toEqual([1, 2]);
    expect(await run(args(), (query) => page(query, 4))).toMatchObject({ code: 0 });
    expect(exported()).toEqual([1, 2, 3, 4]);
    expect(await run(args(), (query) => page(query, 5))).toMatchObject({ code: 0 });
    expect(exported()).toEqual([1, 2, 3, 4, 5]);
    expect(statSync(file('log')).mode & 0o077).toBe(0);
  });

  it('goes on from no cursor that was damaged, or is of another broker', async () => {
    writeFileSync(file('cursor'), '{"after":"3"');
    const damaged = await run(args(), (query) => page(query, 4));
    expect(damaged).toMatchObject({ code: 1, said: expect.stringContaining('no cursor') });
    const other = { broker: 'https://c.example', filters: {}, after: '3' };
    writeFileSync(file('cursor'), JSON.stringify(other));
    expect((await run(args(), (query) => page(query, 4))).code).toBe(1);
    expect(() => statSync(file('log'))).toThrow('ENOENT');
  });
});

describe('verify-audit', () => {
  const nobody = () => new Response(null, { status: 500 });

  it.each([
    ['a line that is none', '{"checkpoints":[],"keys":[]}\nnot json\n', 'line 2'],
    ['a line without keys', '{"checkpoints":["a.b.c"]}\n', 'line 1'],
    ['nothing', '\n', 'holds no checkpoint'],
    ['no checkpoint', '{"checkpoints":[],"keys":[]}\n', 'holds no checkpoint'],
  ])('takes no file of checkpoints with %s', async (_, text, said) => {
    writeFileSync(file('kept'), text);
    const result = await run(['verify-audit', '--checkpoints', file('kept')], nobody);
    expect(result).toMatchObject({ code: 1, said: expect.stringContaining(said) });
  });

  it.each([['../0'], ['0/../../0'], ['a']])('reads no chain called %s', async (name) => {
    mkdirSync(file('audit'));
    const manifest = {
      format: 'countersign-audit',
      version: 1,
      issuer: 'https://b.example',
      exported_at: '2026-01-01T00:00:00.000Z',
      chains: [{ name }],
      checkpoints: [],
      keys: [],
    };
    writeFileSync(join(file('audit'), 'audit.json'), JSON.stringify(manifest));
    const result = await run(['verify-audit', '--folder', file('audit')], nobody);
    expect(result).toMatchObject({ code: 1, said: expect.stringContaining('audit.json is not') });
  });

  it('says which line of an exported chain is none, and that a chain is not there', async () => {
    const chains = [{ name: '0', head: { count: 0, hash: 'A' } }];
    mkdirSync(file('audit'));
    const manifest = { format: 'countersign-audit', version: 1, issuer: 'https://b.example' };
    const rest = { exported_at: 'x', chains, checkpoints: [], keys: [] };
    writeFileSync(join(file('audit'), 'audit.json'), JSON.stringify({ ...manifest, ...rest }));
    const verify = () => run(['verify-audit', '--folder', file('audit')], nobody);
    expect(await verify()).toMatchObject({ code: 1, said: expect.stringContaining('chain-0') });
    writeFileSync(join(file('audit'), 'chain-0.jsonl'), '{"sequence":1}\n');
    expect(await verify()).toMatchObject({ code: 1, said: expect.stringContaining('line 1') });
  });
});
