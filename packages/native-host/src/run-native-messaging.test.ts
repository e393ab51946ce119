import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type FakeEnrollmentBroker,
  sendJson,
  startFakeEnrollmentBroker,
} from '@countersign/testkit/fake-enrollment-broker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeFrame } from './framing/frame.ts';
import { FrameReader } from './framing/frame-reader.ts';
import { writeLauncher } from './installation/launcher.ts';
import {
  attestFrame,
  HostProcess,
  hostProgram,
  origin,
  readAnswers,
  statusFrame,
  waitForEnd,
} from './testing/host-process.ts';

const nowSeconds = () => Math.floor(Date.now() / 1000);

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

describe('native messaging', () => {
  it('tells its status before and after the enrollment', async () => {
    const before = await host.converse(statusFrame('1'));
    expect(before).toMatchObject({
      exitCode: 0,
      answers: [{ id: '1', type: 'status', status: { enrolled: false, development: true } }],
    });
    await host.enroll(broker.url);
    const after = await host.converse(statusFrame('1'), statusFrame('2'));
    expect(after.answers).toMatchObject([
      { id: '1', status: { enrolled: true, broker_url: broker.url, key_protection: 'file' } },
      { id: '2', status: { enrolled: true, origins: [origin] } },
    ]);
    expect(after.errors).toBe('');
  });

  it('answers a challenge, and says why it does not answer another', async () => {
    await host.enroll(broker.url);
    const { organization } = broker;
    const challenge = await organization.signChallenge(origin, nowSeconds());
    const phished = await organization.signChallenge('https://evil.example.com', nowSeconds());
    const { exitCode, answers } = await host.converse(
      attestFrame(challenge),
      attestFrame(phished, 'b'),
    );
    expect(exitCode).toBe(0);
    const [first, second] = answers;
    if (first?.type !== 'attest') throw new Error(JSON.stringify(first));
    expect((await organization.openResponse(first.response)).claims).toMatchObject({
      origin,
      development: true,
      key_protection: 'file',
    });
    expect(second).toMatchObject({ id: 'b', type: 'error', code: 'origin_not_allowed' });
  });

  it('is not enrolled, or not configured, in so many words', async () => {
    const challenge = await broker.organization.signChallenge(origin, nowSeconds());
    const unenrolled = await host.converse(attestFrame(challenge));
    expect(unenrolled.answers).toMatchObject([{ type: 'error', code: 'not_enrolled' }]);
    host.configure({ development: false });
    const untrusted = await host.converse(attestFrame(challenge), statusFrame('1'));
    expect(untrusted.answers).toMatchObject([
      { id: 'a', code: 'host_configuration_untrusted' },
      { id: '1', code: 'host_configuration_untrusted' },
    ]);
    writeFileSync(host.configurationPath, '{');
    const invalid = await host.converse(statusFrame('1'));
    expect(invalid.answers).toMatchObject([{ id: '1', code: 'host_configuration_invalid' }]);
  });

  it('does not use an enrollment under another root than the configured one', async () => {
    await host.enroll(broker.url);
    host.configure({ root_sha256: 'A'.repeat(43) });
    const challenge = await broker.organization.signChallenge(origin, nowSeconds());
    const { answers } = await host.converse(attestFrame(challenge));
    expect(answers).toMatchObject([{ code: 'key_set_invalid' }]);
  });

  it('is reached through the launcher, whatever is around it', async () => {
    const launcher = join(host.folder, 'launcher');
    writeLauncher(launcher, {
      nodePath: process.execPath,
      programPath: hostProgram,
      configurationPath: host.configurationPath,
    });
    writeFileSync(join(host.folder, 'evil.cjs'), 'process.stdout.write("evil")');
    const child = host.start(launcher, ['chrome-extension://abcdefghijklmnopabcdefghijklmnop/'], {
      NODE_OPTIONS: '--require ./evil.cjs',
      PATH: host.folder,
      HOME: host.folder,
    });
    const ended = waitForEnd(child);
    child.stdin.end(statusFrame('1'));
    const { exitCode, output } = await ended;
    expect(exitCode).toBe(0);
    expect(readAnswers(output)).toMatchObject([{ id: '1', type: 'status' }]);
  });
});

describe('the streams', () => {
  it('may bring a message in any number of pieces', async () => {
    const child = host.startNativeMessaging();
    const ended = waitForEnd(child);
    const stream = Buffer.concat([statusFrame('1'), statusFrame('2')]);
    for (let at = 0; at < stream.length; at += 7) {
      child.stdin.write(stream.subarray(at, at + 7));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    child.stdin.end();
    expect(readAnswers((await ended).output)).toMatchObject([{ id: '1' }, { id: '2' }]);
  });

  const fourGigabytes = Buffer.concat([Buffer.alloc(4, 0xff), Buffer.alloc(2_000_000)]);
  it.each([
    ['a frame of length 0', Buffer.alloc(4), ['message_too_large']],
    ['a frame of 4 GB', fourGigabytes, ['message_too_large']],
    ['a header cut in the middle', Buffer.alloc(3), []],
    ['a message cut in the middle', statusFrame('1').subarray(0, 20), []],
  ])('end the process with exit code 1 at %s', async (_, input, codes) => {
    const { exitCode, answers } = await host.converse(input);
    expect(exitCode).toBe(1);
    expect(answers.map((answer) => answer.type === 'error' && answer.code)).toEqual(codes);
  });

  it.runIf(process.platform === 'linux')(
    'may bring 400 MB of nonsense',
    async () => {
      const child = host.startNativeMessaging();
      const peakMegabytes = () => {
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
        return Number(status.match(/VmHWM:\s+(\d+) kB/)?.[1]) / 1024;
      };
      const rounds = 6400;
      const reader = new FrameReader(1024 * 1024);
      let answered = 0;
      let peak = Number.NaN;
      child.stdout.on('data', (chunk: Buffer) => {
        answered += [...reader.read(chunk)].length;
        if (answered < rounds) return;
        peak = peakMegabytes();
        child.stdin.end();
      });
      child.stderr.resume();
      const nonsense = encodeFrame(Buffer.alloc(64 * 1024, 0xff));
      for (let round = 0; round < rounds; round++) {
        if (!child.stdin.write(nonsense)) await once(child.stdin, 'drain');
      }
      await once(child, 'close');
      expect({ answered, exitCode: child.exitCode }).toEqual({ answered: rounds, exitCode: 0 });
      expect(peak).toBeLessThan(250);
    },
    30_000,
  );

  it('may end on the side of the browser before the answer', async () => {
    const child = host.startNativeMessaging();
    child.stdout.destroy();
    const ended = waitForEnd(child);
    child.stdin.end(Buffer.concat([statusFrame('1'), statusFrame('2'), statusFrame('3')]));
    expect(await ended).toMatchObject({ exitCode: 0, errors: '' });
  });
});

describe('the key set', () => {
  const path = () => join(host.stateDirectory, 'key-set.json');
  const stored = () => JSON.parse(readFileSync(path(), 'utf8'));
  const fetches = () => broker.calls.filter((call) => call.path === '/v1/key-set').length;

  it('is fetched for a challenge under a key that it does not have', async () => {
    await host.enroll(broker.url);
    const before = fetches();
    broker.organization.rotateChallengeKey();
    const challenge = await broker.organization.signChallenge(origin, nowSeconds());
    const { answers } = await host.converse(attestFrame(challenge), attestFrame(challenge, 'b'));
    expect(answers).toMatchObject([{ type: 'attest' }, { type: 'attest' }]);
    expect(fetches() - before).toBe(1);
  });

  it('is fetched after an answer when it is a day old, and not before that', async () => {
    await host.enroll(broker.url);
    const before = fetches();
    await host.converse(statusFrame('1'));
    expect(fetches() - before).toBe(0);
    writeFileSync(path(), JSON.stringify({ ...stored(), fetched_at: nowSeconds() - 86_401 }));
    const { exitCode } = await host.converse(statusFrame('1'));
    expect(exitCode).toBe(0);
    expect(fetches() - before).toBe(1);
    expect(nowSeconds() - stored().fetched_at).toBeLessThan(10);
  });

  it('holds up no answer while the broker is silent', async () => {
    await host.enroll(broker.url);
    writeFileSync(path(), JSON.stringify({ ...stored(), fetched_at: 0 }));
    broker.interruptNext(() => new Promise(() => undefined));
    const challenge = await broker.organization.signChallenge(origin, nowSeconds());
    const { exitCode, answers, errors } = await host.converse(
      statusFrame('1'),
      attestFrame(challenge),
      statusFrame('2'),
    );
    expect(exitCode).toBe(0);
    expect(answers).toMatchObject([{ type: 'status' }, { type: 'attest' }, { type: 'status' }]);
    expect(errors).toMatch('broker_unreachable');
  });

  it('is reported invalid when the broker does not give a valid one', async () => {
    await host.enroll(broker.url);
    broker.interruptNext((response) => sendJson(response, 200, { key_set: 'a.b.c' }));
    broker.organization.rotateChallengeKey();
    const challenge = await broker.organization.signChallenge(origin, nowSeconds());
    const { answers } = await host.converse(attestFrame(challenge));
    expect(answers).toMatchObject([{ type: 'error', code: 'key_set_invalid' }]);
  });
});
