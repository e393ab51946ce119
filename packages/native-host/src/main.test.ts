import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { enrollmentLimitText } from '@countersign/protocol';
import {
  type FakeEnrollmentBroker,
  sendJson,
  startFakeEnrollmentBroker,
} from '@countersign/testkit/fake-enrollment-broker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { enrollmentToken, HostProcess } from './testing/host-process.ts';

let broker: FakeEnrollmentBroker;
let host: HostProcess;
beforeAll(async () => {
  broker = await startFakeEnrollmentBroker();
});
afterAll(() => broker.stop());
beforeEach(() => {
  host = new HostProcess();
});
afterEach(() => host.remove());

const enrollArguments = () => ['enroll', '--broker', broker.url];

describe('countersign enroll', () => {
  it('prints each step and ends with what is so now', async () => {
    const first = await host.command(enrollArguments(), `${enrollmentToken}\n`);
    expect(first).toMatchObject({ exitCode: 0, errors: '' });
    expect(first.output.split('\n').map((line) => line.slice(0, 15).trim())).toEqual([
      'configuration',
      'hardware id',
      'key',
      'request',
      'certificate',
      'key set',
      'device',
      'fingerprint',
      'valid',
      'This device is',
      '',
    ]);
    const again = await host.command(enrollArguments());
    expect(again.exitCode).toBe(0);
    expect(again.output).toMatch('was enrolled with');
  });

  it('replaces what looks good with --replace, and nothing without a token', async () => {
    await host.enroll(broker.url);
    const refused = await host.command([...enrollArguments(), '--replace']);
    expect(refused).toMatchObject({ exitCode: 2, errors: expect.stringMatching('token') });
    expect((await host.command(['status'])).output).toMatch(/key +usable/);
    const before = JSON.parse((await host.command(['status', '--json'])).output);
    const replaced = await host.command([...enrollArguments(), '--replace'], enrollmentToken);
    expect(replaced).toMatchObject({ exitCode: 0, errors: '' });
    expect(replaced.output).toMatch(/old key +deleted\n/);
    expect(replaced.output).toMatch('is now enrolled with');
    expect((await host.command(['status'])).output).toMatch(/key +usable/);
    const after = JSON.parse((await host.command(['status', '--json'])).output);
    expect(after.certificate.fingerprint_sha256).not.toBe(before.certificate.fingerprint_sha256);
  });

  it('takes the token from the environment or a file, and repeats it nowhere', async () => {
    const environment = { COUNTERSIGN_ENROLLMENT_TOKEN: enrollmentToken };
    const fromEnvironment = await host.command(enrollArguments(), '', environment);
    expect(fromEnvironment.exitCode).toBe(0);
    expect(JSON.stringify(fromEnvironment)).not.toContain(enrollmentToken);
    rmSync(host.stateDirectory, { recursive: true });
    const tokenFile = join(host.folder, 'token');
    writeFileSync(tokenFile, enrollmentToken);
    const fromFile = await host.command([...enrollArguments(), '--token-file', tokenFile]);
    expect(fromFile.exitCode).toBe(0);
  });

  it('says what the broker refused, what to do about it, and ends with 1', async () => {
    const problem = {
      type: 'about:blank',
      title: enrollmentLimitText,
      status: 409,
      code: 'enrollment_limit_reached',
      detail: 'with \u001b[31mcolours\u001b[0m\nand lines',
    };
    broker.interruptNext((response) => sendJson(response, 409, problem));
    const { exitCode, errors } = await host.command(enrollArguments(), enrollmentToken);
    expect(exitCode).toBe(1);
    expect(errors.split('\n')).toEqual([
      `countersign: ${enrollmentLimitText}: with  [31mcolours [0m and lines (enrollment_limit_reached)`,
      enrollmentLimitText,
      '',
    ]);
    expect(existsSync(join(host.stateDirectory, 'enrollment.json'))).toBe(false);
  });

  it('ends with 3 when it is worth trying again', async () => {
    const nobody = 'http://127.0.0.1:9';
    const args = ['enroll', '--broker', nobody];
    const { exitCode, errors } = await host.command(args, enrollmentToken);
    expect(exitCode).toBe(3);
    expect(errors).toMatch('(broker_unreachable)');
  });

  it.each<[args: string[], input: string, detail: string, exitCode: number]>([
    [['enroll'], enrollmentToken, 'enroll needs --broker', 2],
    [['enroll', '--broker', 'http://b.example'], enrollmentToken, '--broker must be https', 1],
    [['enroll', '--broker', 'https://b.example', '--token', enrollmentToken], '', 'never goes', 2],
    [['enroll', '--broker', 'https://b.example'], 'short', 'on standard input must be', 2],
    [['bogus'], '', 'there is no such command', 2],
  ])('refuses %j', async (args, input, detail, exitCode) => {
    const refused = await host.command(args, input);
    expect(refused.exitCode).toBe(exitCode);
    expect(refused.errors).toMatch(detail);
    expect(refused.errors).not.toContain(enrollmentToken);
  });

  it('enrolls with no broker but the configured one', async () => {
    host.configure({ broker_url: 'https://broker.example.com' });
    const before = broker.calls.length;
    const { exitCode, errors } = await host.command(enrollArguments(), enrollmentToken);
    expect(exitCode).toBe(1);
    expect(errors).toMatch('the configuration allows only https://broker.example.com');
    expect(broker.calls).toHaveLength(before);
  });
});

describe('countersign status', () => {
  it('shows the enrollment, and a key that cannot be used', async () => {
    expect((await host.command(['status'])).output).toMatch(/enrolled +no/);
    await host.enroll(broker.url);
    expect((await host.command(['status'])).output).toMatch(/key +usable/);
    rmSync(join(host.stateDirectory, 'device-key.json'));
    const json = await host.command(['status', '--json']);
    expect(JSON.parse(json.output)).toMatchObject({
      enrolled: true,
      configuration: host.configurationPath,
      key_problem: expect.stringContaining('device-key.json does not exist'),
    });
    expect((await host.command(['status'])).output).toMatch(/key +.*does not exist/);
  });

  it('names what is wrong with the configuration', async () => {
    host.configure({ origins: ['sso.example.com'] });
    const { exitCode, errors } = await host.command(['status']);
    expect(exitCode).toBe(1);
    expect(errors).toMatch('origins.0 must be an origin');
  });
});

it('helps', async () => {
  const help = await host.command(['--help']);
  expect(help.exitCode).toBe(0);
  expect(help.output).toMatch('countersign enroll --broker URL');
  expect(help.output).toMatch('With --replace');
  expect((await host.command(['--version'])).output).toBe('0.1.0\n');
});
