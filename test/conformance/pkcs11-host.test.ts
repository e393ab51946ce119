// The `countersign` program as it is shipped, with its key in a token of SoftHSM2, against the real broker.
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestClient } from '@countersign/testkit/broker-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { builtProgram } from '../support/built-program.ts';
import { expectTrusted } from '../support/expect-answer.ts';
import { NativeHost } from '../support/native-host.ts';
import { evidenceOf, openTransaction } from '../support/sign-in-attempt.ts';
import { SoftToken } from '../support/soft-token.ts';
import { TestBroker } from '../support/test-broker.ts';
import { Judge } from './x509/judge.ts';

const origin = 'https://sso.example.com';

let broker: TestBroker;
let client: TestClient;
beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient({ origin });
});
afterAll(() => broker?.stopAndRemove());

let token: SoftToken;
let host: NativeHost;
beforeEach(async () => {
  token = new SoftToken();
  host = await NativeHost.install({ keystore: token.keystore });
});
afterEach(() => {
  host.remove();
  token.remove();
});

/** Runs a command where the module finds its token. */
function command(args: readonly string[], input = '') {
  return host.command(args, { input, environment: token.environment });
}

async function enroll(...more: readonly string[]) {
  const { enrollment_token, device_id } = await broker.client.createEnrollmentToken(
    host.hardwareId,
  );
  const result = await command(['enroll', '--broker', broker.url, ...more], enrollment_token);
  return { ...result, output: result.output.toString(), deviceId: device_id };
}

async function enrolled(...more: readonly string[]) {
  const result = await enroll(...more);
  expect(result.exitCode, result.errors).toBe(0);
  return result;
}

async function status() {
  const { output, exitCode } = await command(['status', '--json']);
  expect(exitCode).toBe(0);
  return JSON.parse(output.toString());
}

async function attest() {
  const { transaction, challenge } = await openTransaction(broker, client);
  const options = { environment: token.environment };
  return { transaction, challenge, answer: await host.attest(challenge, origin, options) };
}

async function expectSignIn(): Promise<void> {
  const { transaction, challenge, answer } = await attest();
  if (answer.type !== 'attest') throw new Error(JSON.stringify(answer));
  const evidence = evidenceOf(challenge, answer.response);
  expectTrusted(await broker.client.evaluate(client, { transaction, evidence }));
}

const count = (pattern: RegExp) =>
  token.tool('--list-objects').toString().match(pattern)?.length ?? 0;
const keyCount = () => count(/^Private Key Object/gm);
const certificateCount = () => count(/^Certificate Object/gm);

/** Of a device that is enrolled: its key is in none of them. */
const stateFileNames = [
  'enrollment.json',
  'key-set.json',
  'posture.json',
  'token-scope.json',
  'token.lock',
];

describe('a device with its key in a token', () => {
  it('enrolls, signs in, and says where its key is', async () => {
    const { output } = await enrolled();
    expect(output).toContain('kept as: pkcs11');
    await expectSignIn();
    expect(await status()).toMatchObject({ enrolled: true, key_protection: 'pkcs11' });
    const text = (await command(['status'])).output.toString();
    expect(text).toContain('usable; kept as: pkcs11');
    expect(text).toContain('the certificate is beside it');
    expect(Object.keys(host.stateFiles()).sort()).toEqual(stateFileNames);
    expect(keyCount()).toBe(1);
    expect(certificateCount()).toBe(1);
  });

  it('is recorded with that protection', async () => {
    await enrolled();
    const { transaction, challenge, answer } = await attest();
    if (answer.type !== 'attest') throw new Error(JSON.stringify(answer));
    const evidence = evidenceOf(challenge, answer.response);
    const { context } = await broker.client.evaluate(client, { transaction, evidence });
    const [shard = '', sequence = ''] = context.decision_id.split('.');
    const { rows } = await broker.client.decisions(Number(shard));
    const row = rows.find((decision) => decision.sequence === Number(sequence));
    expect(JSON.parse(row?.record ?? '')).toMatchObject({ response: { key_protection: 'pkcs11' } });
  });

  it('sends a request that openssl verifies, and puts the certificate beside the key', async () => {
    const unreachable = ['enroll', '--broker', 'http://127.0.0.1:9'];
    expect((await command(unreachable, 'A'.repeat(43))).exitCode).toBe(3);
    const { csr } = JSON.parse(host.stateFiles()['pending-enrollment.json'] ?? '');
    const judge = new Judge();
    try {
      judge.write('request.der', Buffer.from(csr, 'base64url'));
      const args = ['-in', 'request.der', '-inform', 'DER', '-noout', '-verify', '-text'];
      const text = judge.tell('openssl', 'req', ...args);
      expect(text).toMatch(/verify OK/i);
      expect(text).toContain('prime256v1');
    } finally {
      judge.remove();
    }
    const { deviceId } = await enrolled();
    const { certificate } = JSON.parse(host.stateFiles()['enrollment.json'] ?? '');
    const { scope } = JSON.parse(host.stateFiles()['token-scope.json'] ?? '');
    const id = `${scope}${'0'.repeat(16)}`;
    expect(token.tool('--read-object', '--type', 'cert', '--id', id)).toEqual(
      Buffer.from(certificate, 'base64url'),
    );
    expect((await broker.client.device(deviceId)).certificates).toHaveLength(1);
  });

  it('puts a certificate back that was lost from the token', async () => {
    await enrolled();
    const { scope } = JSON.parse(host.stateFiles()['token-scope.json'] ?? '');
    token.tool('--delete-object', '--type', 'cert', '--id', `${scope}${'0'.repeat(16)}`);
    await expectSignIn();
    expect((await command(['status'])).output.toString()).toContain('is not beside it');
    expect((await enrolled()).output).toContain('nothing was changed');
    expect(certificateCount()).toBe(1);
  });

  it('enrolls anew with another key, and takes the old one off the token', async () => {
    const { deviceId } = await enrolled();
    const { output } = await enrolled('--replace');
    expect(output).toMatch(/old key +deleted/);
    expect(keyCount()).toBe(1);
    expect(certificateCount()).toBe(1);
    expect((await broker.client.device(deviceId)).certificates).toHaveLength(2);
    await expectSignIn();
  });

  it('that had its key in a file before leaves no file behind', async () => {
    host.configure({});
    await enrolled();
    expect(Object.keys(host.stateFiles())).toContain('device-key.json');
    host.configure({ keystore: token.keystore });
    expect(await status()).toMatchObject({ key_problem_code: 'key_missing' });
    expect((await attest()).answer).toMatchObject({ type: 'error', code: 'key_unavailable' });
    await enrolled();
    expect(Object.keys(host.stateFiles()).sort()).toEqual(stateFileNames);
    await expectSignIn();
  });

  it('makes one key for several who enroll at the same time, and serves several sign-ins', async () => {
    const { enrollment_token, device_id } = await broker.client.createEnrollmentToken(
      host.hardwareId,
    );
    const args = ['enroll', '--broker', broker.url];
    const ended = await Promise.all(
      Array.from({ length: 4 }, () => command(args, enrollment_token)),
    );
    expect(ended.map(({ errors }) => errors)).toEqual(['', '', '', '']);
    expect(keyCount()).toBe(1);
    expect((await broker.client.device(device_id)).certificates).toHaveLength(1);
    await Promise.all(Array.from({ length: 6 }, expectSignIn));
  });

  it('#51 shows the PIN nowhere', async () => {
    const outputs: string[] = [];
    const keep = ({ output, errors }: { output: string | Buffer; errors: string }) =>
      outputs.push(String(output), errors);
    keep(await enrolled());
    keep(await command(['status']));
    token.writePin('0815-wrong');
    keep(await enroll('--replace'));
    outputs.push(JSON.stringify(await status()), JSON.stringify((await attest()).answer));
    outputs.push(...Object.values(host.stateFiles()));
    for (const output of outputs) expect(output).not.toMatch(/4711-secret|0815-wrong/);
  });
});

describe('a device whose token cannot be used says so', () => {
  const problems: Record<string, readonly [code: string, detail: RegExp, make: () => void]> = {
    'a module that is not there': [
      'keystore_module_missing',
      /keystore\.module: \/nowhere\.so does not exist/,
      () => host.configure({ keystore: { ...token.keystore, module: '/nowhere.so' } }),
    ],
    'a file that is no module': [
      'keystore_module_invalid',
      /keystore\.module: \S+\/pin: /,
      () => host.configure({ keystore: { ...token.keystore, module: token.pinFile } }),
    ],
    'a token that is not there': [
      'keystore_token_missing',
      /keystore\.token_label: .* has no token "Other"; it has "Device keys"/,
      () => host.configure({ keystore: { ...token.keystore, token_label: 'Other' } }),
    ],
    'a PIN file that is not there': [
      'keystore_pin_unreadable',
      /keystore\.pin_file: .* does not exist/,
      () => rmSync(token.pinFile),
    ],
    'a wrong PIN': [
      'keystore_pin_wrong',
      /keystore\.pin_file: the token "Device keys" refused the PIN: C_Login answered CKR_PIN/,
      () => token.writePin('wrong'),
    ],
  };
  it.each(Object.keys(problems))('in enroll, status and to the extension: %s', async (name) => {
    await enrolled();
    const [code, detail, make] = problems[name] ?? ['', /./, () => undefined];
    make();
    const refused = await enroll('--replace');
    expect(refused.exitCode).toBe(1);
    expect(refused.errors).toMatch(detail);
    expect(refused.errors).toContain(`(${code})`);
    expect(await status()).toMatchObject({
      key_problem_code: code,
      key_problem: expect.stringContaining('keystore.'),
    });
    expect((await attest()).answer).toMatchObject({
      type: 'error',
      code: 'key_unavailable',
      detail: expect.stringContaining('keystore.'),
    });
    expect(Object.keys(host.stateFiles())).not.toContain('pending-enrollment.json');
  });
});

it('is loaded only where a token is named: a host without koffi serves keys in files', async () => {
  const program = await builtProgram('native-host');
  const copy = join(host.folder, 'program');
  const isModule = (path: string) => path.includes('node_modules');
  cpSync(dirname(program), copy, { recursive: true, filter: (path) => !isModule(path) });
  const run = () => {
    const args = [join(copy, 'countersign.cjs'), 'status', '--config', host.configurationPath];
    return spawnSync(process.execPath, args, { env: token.environment, encoding: 'utf8' });
  };
  await enrolled();
  expect(run().stdout).toMatch(/koffi cannot be loaded.*\(keystore_module_invalid\)/);
  host.configure({});
  rmSync(host.stateDirectory, { recursive: true });
  await enrolled();
  expect(run().stdout).toContain('usable; kept as: file');
  expect(readFileSync(join(copy, 'countersign.cjs'), 'utf8')).not.toContain('koffi');
});
