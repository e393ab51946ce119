import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { commands } from '../commands/index.ts';
import { runProgram } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'countersign-admin-'));
afterAll(() => rmSync(folder, { recursive: true }));

const environment = {
  COUNTERSIGN_BROKER_URL: 'https://broker.example',
  COUNTERSIGN_ADMIN_TOKEN: 'cadm_of-the-environment',
};

async function run(
  args: readonly string[],
  answer: () => Response = () => Response.json({}),
  given: Readonly<Record<string, string>> = environment,
) {
  const told = { out: '', error: '' };
  const asked: { url: string; token: string | null }[] = [];
  const code = await runProgram(commands, args, {
    environment: given,
    out: (text) => {
      told.out += text;
    },
    error: (text) => {
      told.error += text;
    },
    isTerminal: false,
    nowMs: () => 0,
    sleep: async () => undefined,
    fetch: async (url, init) => {
      asked.push({ url: String(url), token: new Headers(init?.headers).get('Authorization') });
      return answer();
    },
  });
  return { code, ...told, asked };
}

const refusal =
  (status: number, code: string, more: object = {}) =>
  () =>
    Response.json({ type: 'about:blank', title: 'Refused.', status, code, ...more }, { status });

const self = () => Response.json({ admin_id: 'adm_x', role: 'help_desk', permissions: ['a'] });

describe('exit codes', () => {
  it('0: done, as a table for people and as JSON for scripts', async () => {
    expect(await run(['whoami'], self)).toMatchObject({
      code: 0,
      out: 'admin        adm_x\nrole         help_desk\npermissions  a\n',
      error: '',
    });
    const { out } = await run(['whoami', '--json'], self);
    expect(JSON.parse(out)).toEqual({ admin_id: 'adm_x', role: 'help_desk', permissions: ['a'] });
  });

  it('1: refused, with code and field in a line and what to do in another', async () => {
    const detail = { field: 'name', detail: 'must be shorter' };
    const refused = await run(
      ['admins', 'create', 'x', '--role', 'owner'],
      refusal(400, 'field_invalid', detail),
    );
    expect([refused.code, refused.out]).toEqual([1, '']);
    expect(refused.error).toBe(
      'countersign-admin: field_invalid (name): Refused. must be shorter\nCorrect that value; nothing was changed.\n',
    );
  });

  it('1: what was found is bad', async () => {
    const tested = () => Response.json({ success: false, code: 'x', detail: 'no' });
    expect(await run(['integrations', 'test', 'int_a'], tested)).toMatchObject({ code: 1 });
  });

  it.each([
    ['an unknown command', ['devices', 'eat']],
    ['a missing option', ['admins', 'create', 'x']],
    ['a value that is none', ['mode', 'set', 'readonly']],
    ['a number that is none', ['log', 'settings', '--retention-days', '1e3']],
    ['a state that is none', ['integrations', 'state', 'int_a', 'on']],
    ['a broker that is none', ['whoami', '--broker', 'broker.example']],
    ['a path beside the broker', ['whoami', '--broker', 'https://broker.example/v1']],
    ['a token in the clear', ['whoami', '--broker', 'http://broker.example']],
    ['a file of the token that is not there', ['whoami', '--token-file', join(folder, 'none')]],
  ])('2: %s, and nothing is asked', async (_, args) => {
    const { code, asked, error } = await run(args);
    expect([code, asked]).toEqual([2, []]);
    expect(error).toMatch(/^countersign-admin: .+\nusage: countersign-admin /);
  });

  it('2: with the usage of the command that was meant', async () => {
    for (const args of [
      ['policy', 'push', 'crm', 'crm.json', '--force'],
      ['policy', 'push'],
    ]) {
      const { code, error } = await run(args);
      expect([code, error]).toEqual([
        2,
        expect.stringContaining('\nusage: countersign-admin policy push APPLICATION FILE ['),
      ]);
    }
    expect((await run(['polcy', 'push'])).error).toContain('\nusage: countersign-admin --help');
  });

  it('3: worth trying again', async () => {
    const busy = await run(['mode', 'set', 'normal'], refusal(503, 'snapshot_unavailable'));
    expect(busy).toMatchObject({ code: 3 });
    expect(busy.error).toMatch(/snapshot_unavailable.*\nTry again/s);
    const gone = await run(['whoami'], () => new Response('gateway', { status: 502 }));
    expect(gone).toMatchObject({ code: 3 });
  });
});

it('the token comes from a file or the environment, and from nowhere else', async () => {
  const file = join(folder, 'token');
  writeFileSync(file, 'cadm_of-the-file\n');
  const ofFile = await run(['whoami', '--token-file', file], self);
  expect(ofFile.asked).toEqual([
    { url: 'https://broker.example/v1/admin/self', token: 'Bearer cadm_of-the-file' },
  ]);
  const ofEnvironment = await run(['whoami'], self);
  expect(ofEnvironment.asked[0]?.token).toBe('Bearer cadm_of-the-environment');
  const local = { COUNTERSIGN_BROKER_URL: 'http://127.0.0.1:8742' };
  expect(await run(['whoami'], self, local)).toMatchObject({ code: 2 });
  writeFileSync(file, 'two\nlines\n');
  expect(await run(['whoami', '--token-file', file], self)).toMatchObject({ code: 2 });
});

it('what would break, and in which order to proceed, is shown before the override is named', async () => {
  const impact = {
    applications: [
      { application_id: 'crm', name: 'CRM', enforcement: 'enforce', other_devices: 'deny' },
    ],
    live_certificates: 3,
    bound_certificates: 2,
    affected_users: 1,
    steps: ['Let crm monitor.', 'Disable it.'],
  };
  const { code, error } = await run(
    ['integrations', 'delete', 'int_a'],
    refusal(409, 'integration_in_use', { impact }),
  );
  expect(code).toBe(1);
  expect(error).toMatch(
    /integration_in_use[\s\S]+3 certificates[\s\S]+1 people[\s\S]+crm[\s\S]+1\. Let[\s\S]+2\. Dis[\s\S]+--override/,
  );
});

it('no answer writes to the terminal as it likes', async () => {
  const hostile = '\u001b]0;pwned\u0007\u001b[2J';
  const shown = await run(['whoami'], () =>
    Response.json({ admin_id: hostile, role: 'owner', permissions: [hostile] }),
  );
  const refused = await run(['whoami'], refusal(403, 'admin_forbidden', { detail: hostile }));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;
  expect(shown.out).toContain('pwned');
  expect(refused.error).toContain('pwned');
  expect(shown.out + refused.error).not.toMatch(control);
});
