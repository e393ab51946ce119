// What the installed host makes of whoever starts it: arguments, environment, and the folder that it is started in.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestClient } from '@countersign/testkit/broker-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expectTrusted } from '../support/expect-answer.ts';
import { withSignature } from '../support/forge-token.ts';
import { frame, NativeHost, readFrames } from '../support/native-host.ts';
import { PlantedFolder } from '../support/planted-folder.ts';
import { evidenceOf, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const origin = 'https://sso.example.com';
const extension = `chrome-extension://${'a'.repeat(32)}/`;
const status = { version: 1, id: '1', type: 'status' };

let broker: TestBroker;
let client: TestClient;
let host: NativeHost;
let launcher: string;
let planted: PlantedFolder;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient({ origin });
  host = await NativeHost.install();
  await host.enroll(broker);
  launcher = host.writeLauncher();
  planted = new PlantedFolder();
});
afterAll(async () => {
  planted?.remove();
  host?.remove();
  await broker?.stopAndRemove();
});

type Surroundings = {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
};

/** Starts the launcher as a browser would. */
function startHost(surroundings: Surroundings): ChildProcessWithoutNullStreams {
  const { args = [extension], environment = {}, cwd = host.folder } = surroundings;
  return spawn(launcher, args, { env: environment, cwd, timeout: 20_000 });
}

/** One conversation with the launcher, from beginning to end. */
async function ask(messages: readonly object[], surroundings: Surroundings) {
  const child = startHost(surroundings);
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  child.stdin.end(Buffer.concat(messages.map(frame)));
  await once(child, 'close');
  expect(child.exitCode, Buffer.concat(errors).toString()).toBe(0);
  return readFrames(Buffer.concat(output));
}

/** A sign-in through the launcher. */
async function expectSignIn(surroundings: Surroundings): Promise<void> {
  const { transaction, challenge } = await openTransaction(broker, client);
  const attest = { ...status, type: 'attest', challenge, origin };
  const [answer] = await ask([attest], surroundings);
  if (answer?.type !== 'attest') throw new Error(JSON.stringify(answer));
  const evidence = evidenceOf(challenge, answer.response);
  expectTrusted(await broker.client.evaluate(client, { transaction, evidence }));
}

describe('#47 whoever starts the host', () => {
  // That a browser starts it for no other extension is the manifest's doing, and tried in a browser.
  const callers: Record<string, readonly string[]> = {
    'the extension': [extension, '--parent-window=0'],
    'another extension': [`chrome-extension://${'b'.repeat(32)}/`],
    'an extension of Firefox': ['/home/eve/dev.countersign.host.json', 'eve@evil.example'],
    'a web page': ['https://evil.example/'],
    'no browser at all': [],
  };
  it.each(Object.entries(callers))('%s has the same signed, and no more', async (_, args) => {
    const { challenge } = await openTransaction(broker, client);
    const attest = { ...status, type: 'attest', challenge, origin };
    const refused = [
      ['origin_not_allowed', { ...attest, origin: 'https://evil.example' }],
      [
        'challenge_signature_invalid',
        { ...attest, challenge: withSignature(challenge, new Uint8Array(64)) },
      ],
      ['message_malformed', { ...attest, type: 'sign' }],
      ['message_malformed', { ...attest, origins: ['https://evil.example'] }],
      ['message_malformed', { ...status, type: 'enroll', broker: broker.url }],
    ] as const;
    const answers = await ask(
      refused.map(([, message]) => message),
      { args },
    );
    expect(answers).toMatchObject(refused.map(([code]) => ({ type: 'error', code })));
    await expectSignIn({ args });
  });

  it('without the launcher, and without an argument that is known, gets nothing', async () => {
    for (const args of [[], ['https://evil.example/'], ['sign'], ['--', extension]]) {
      const { exitCode, output } = await host.run(args, { input: frame(status) });
      expect(exitCode).toBe(2);
      expect(output.toString()).toBe('');
    }
  });
});

describe('#50 arguments', () => {
  const evil = () => join(planted.folder, 'host.json');
  const lists: Record<string, () => readonly string[]> = {
    'that name another configuration': () => ['--config', evil()],
    'that name it in one word': () => [`--config=${evil()}`],
    'that name it before the extension': () => ['--config', evil(), extension],
    'for Node that load a program': () => ['--require', planted.preloaded],
    'for Node that run a text': () => ['--eval', `require(${JSON.stringify(planted.preloaded)})`],
    'that end the options': () => ['--', '--config', evil()],
    'that name another command': () => ['enroll', '--broker', 'http://127.0.0.1:9'],
    'that ask for something else': () => ['--version', '--help'],
    'of the shell': () => [`$(touch ${planted.folder}/ran/shell)`, '`id`', '; exit 1', '"', "'"],
    'that are a path': () => ['../../../../../../etc/passwd', '/etc/passwd'],
    'that are odd': () => ['', ' ', '\n', '-', '%s%n', 'x'.repeat(100_000)],
  };
  it.each(Object.entries(lists))('%s change nothing', async (_, args) => {
    const configuration = { origins: ['https://evil.example'], development: true };
    writeFileSync(evil(), JSON.stringify(configuration));
    const answers = await ask([status], { args: args(), cwd: planted.folder });
    expect(answers).toMatchObject([
      { type: 'status', status: { origins: [origin], enrolled: true } },
    ]);
    expect(planted.ran).toEqual([]);
  });
});

describe('#50 an environment and a folder full of traps', () => {
  beforeEach(() => expect(planted.ran).toEqual([]));

  it('catch a program that is not careful', async () => {
    const trapped = new PlantedFolder();
    try {
      const says = 'console.log(Date.now()); require("koffi")';
      const child = spawn(process.execPath, ['--eval', says], {
        cwd: trapped.folder,
        env: trapped.environment,
        timeout: 20_000,
      });
      let told = '';
      child.stdout.on('data', (chunk: Buffer) => {
        told += chunk;
      });
      child.stdin.end();
      await once(child, 'close');
      expect(trapped.ran).toEqual(['loader.mjs', 'node_modules', 'preloaded.cjs']);
      expect(Number(told)).toBeLessThan(Date.now() - 399 * 86_400_000);
    } finally {
      trapped.remove();
    }
  });

  it('do not reach the process with the key', async () => {
    const before = planted.entries;
    const { environment, folder, library } = planted;
    const child = startHost({ environment, cwd: folder });
    child.stdin.write(frame(status));
    await once(child.stdout, 'data');
    const read = (name: string) => readFileSync(`/proc/${child.pid}/${name}`, 'latin1');
    expect(readlinkSync(`/proc/${child.pid}/exe`)).toBe(process.execPath);
    expect(read('environ').split('\0').filter(Boolean).sort()).toEqual([
      `HOME=${folder}`,
      'PATH=/usr/bin:/bin',
    ]);
    expect(read('maps')).toContain(process.execPath);
    expect(read('maps')).not.toContain(library);
    expect(read('maps')).not.toContain(folder);
    child.stdin.end();
    await once(child, 'close');
    expect(planted.ran).toEqual([]);
    expect(planted.entries).toEqual(before);
  });

  it('leave a sign-in as it is, by the true time', async () => {
    const before = planted.entries;
    await expectSignIn({ environment: planted.environment, cwd: planted.folder });
    expect(planted.ran).toEqual([]);
    expect(planted.entries).toEqual(before);
  });

  it('give a host with its key in a token no other library to call it with', async () => {
    const other = await NativeHost.install({
      keystore: { kind: 'pkcs11', module: '/nonexistent/module.so', token_label: 'a' },
    });
    try {
      const { enrollment_token } = await broker.client.createEnrollmentToken(other.hardwareId);
      const { HOME = '', NODE_PATH = '' } = planted.environment;
      const { exitCode, errors } = await other.command(['enroll', '--broker', broker.url], {
        input: enrollment_token,
        environment: { HOME, NODE_PATH },
      });
      expect(exitCode).toBe(1);
      expect(errors).toContain('/nonexistent/module.so');
      expect(planted.ran).toEqual([]);
    } finally {
      other.remove();
    }
  });
});
