// `countersign enroll`, as it is shipped, against the real broker.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomText } from '@countersign/testkit/broker-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readBrokerCertificate } from '../support/broker-keys.ts';
import { NativeHost } from '../support/native-host.ts';
import { SystemCallTrace } from '../support/system-call-trace.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
});
afterAll(() => broker?.stopAndRemove());

const tokenFor = async (host: NativeHost, at = broker) =>
  (await at.client.createEnrollmentToken(host.hardwareId)).enrollment_token;
const enrollArguments = (at = broker) => ['enroll', '--broker', at.url];

async function enroll(host: NativeHost): Promise<string> {
  const { device_id } = await broker.client.createEnrollmentToken(host.hardwareId);
  await host.enroll(broker);
  return device_id;
}

describe('countersign enroll', () => {
  let host: NativeHost;
  beforeEach(async () => {
    host = await NativeHost.install();
  });
  afterEach(() => host.remove());

  const ways: Record<string, (token: string) => Parameters<NativeHost['command']>> = {
    'standard input': (token) => [enrollArguments(), { input: `${token}\n` }],
    'the environment': (token) => [
      enrollArguments(),
      { environment: { COUNTERSIGN_ENROLLMENT_TOKEN: token } },
    ],
    'a file': (token) => {
      const file = join(host.folder, 'token');
      writeFileSync(file, `${token}\n`);
      return [[...enrollArguments(), '--token-file', file]];
    },
  };
  it.each(Object.entries(ways))(
    '#51 takes the token from %s, and shows it nowhere',
    async (_, way) => {
      const { enrollment_token, device_id } = await broker.client.createEnrollmentToken(
        host.hardwareId,
      );
      const [args, options] = way(enrollment_token);
      let ended = false;
      const seen = watchCommandLines(enrollment_token, () => ended);
      const result = await host.command(args, options);
      ended = true;
      expect(result.exitCode, result.errors).toBe(0);
      expect(result.output.toString() + result.errors).not.toContain(enrollment_token);
      expect(Object.values(host.stateFiles()).join()).not.toContain(enrollment_token);
      expect(await seen).toBe(0);

      const { certificates, unbound_certificates } = await broker.client.device(device_id);
      expect(unbound_certificates).toBe(1);
      expect(result.output.toString()).toContain(certificates[0]?.fingerprint_sha256);
      expect(result.output.toString()).toContain(device_id);
    },
  );

  it.each(Object.entries(ways))(
    '#51 takes the token from %s, and gives it to the broker alone',
    async (_, way) => {
      const token = await tokenFor(host);
      const [args, options] = way(token);
      const trace = new SystemCallTrace(host.folder);
      const { exitCode, errors } = await host.command(args, {
        ...options,
        watchedBy: trace.command,
      });
      expect(exitCode, errors).toBe(0);
      const calls = trace.read();
      const withToken = calls.filter(({ line }) => line.includes(token));
      // The environment of the program itself, where it came that way.
      const sent = withToken.filter(
        ({ name, line }) => name !== 'execve' || !line.includes('enroll'),
      );
      expect(sent.length).toBeGreaterThan(0);
      for (const { line } of sent) {
        expect(line).toMatch(
          new RegExp(`^\\w+\\(\\d+<TCP:\\[[^\\]]*->${new URL(broker.url).host}\\]>, `),
        );
      }
      // It starts no other program, and writes nowhere but into its own state.
      expect(calls.filter(({ name }) => name === 'execve')).toHaveLength(1);
      const written = calls.flatMap(({ writtenFile }) => writtenFile ?? []);
      expect(written.length).toBeGreaterThan(2);
      expect(written.filter((path) => !path.startsWith(`${host.stateDirectory}/`))).toEqual([]);
    },
  );

  it('#51 refuses a token on the command line, sends nothing and repeats nothing', async () => {
    const token = await tokenFor(host);
    for (const args of [['--token', token], [`--token=${token}`], [token]]) {
      const result = await host.command([...enrollArguments(), ...args]);
      expect(result.exitCode).toBe(2);
      expect(result.output.toString() + result.errors).not.toContain(token);
    }
    const { exitCode } = await host.command(enrollArguments(), { input: token });
    expect(exitCode).toBe(0);
  });

  it('keeps its state for its own user alone, and the key not in the clear', async () => {
    await enroll(host);
    expect(statSync(host.stateDirectory).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(host.stateDirectory)) {
      expect([name, statSync(join(host.stateDirectory, name)).mode & 0o777]).toEqual([name, 0o600]);
    }
    expect(Object.values(host.stateFiles()).join()).not.toMatch(/PRIVATE KEY|"d":/);
  });

  it('may be repeated, without a token, and changes nothing', async () => {
    const deviceId = await enroll(host);
    const before = host.stateFiles();
    const again = await host.command(enrollArguments());
    expect(again.exitCode).toBe(0);
    expect(again.output.toString()).toContain('nothing was changed');
    expect(host.stateFiles()).toEqual(before);
    expect((await broker.client.device(deviceId)).certificates).toHaveLength(1);
  });

  it('#39 goes on after it was killed, with the same token, to one certificate', async () => {
    const { enrollment_token, device_id } = await broker.client.createEnrollmentToken(
      host.hardwareId,
    );
    for (const afterMs of [20, 60, 80, 100, 120, 140, 170]) {
      await host.command(enrollArguments(), {
        input: enrollment_token,
        onStarted: (child) => {
          setTimeout(() => child.kill('SIGKILL'), afterMs);
        },
      });
    }
    const last = await host.command(enrollArguments(), { input: enrollment_token });
    expect(last.exitCode, last.errors).toBe(0);
    const { certificates } = await broker.client.device(device_id);
    expect(certificates).toHaveLength(1);
    expect(last.output.toString()).toContain(certificates[0]?.fingerprint_sha256);
  });

  it('refuses a second broker while it is enrolled with one', async () => {
    const second = await TestBroker.start();
    try {
      await enroll(host);
      const before = host.stateFiles();
      const token = await tokenFor(host, second);
      const result = await host.command(enrollArguments(second), { input: token });
      expect(result.exitCode).toBe(1);
      expect(result.errors).toContain('(already_enrolled_elsewhere)');
      expect(host.stateFiles()).toEqual(before);
    } finally {
      await second.stopAndRemove();
    }
  });

  it('holds the broker to the pinned root', async () => {
    const token = await tokenFor(host);
    host.configure({ root_sha256: randomText() });
    const refused = await host.command(enrollArguments(), { input: token });
    expect(refused.exitCode).toBe(1);
    expect(refused.errors).toContain('(broker_root_mismatch)');
    const { raw } = readBrokerCertificate(broker.dataDirectory, 'root');
    host.configure({ root_sha256: createHash('sha256').update(raw).digest('base64url') });
    const accepted = await host.command(enrollArguments(), { input: token });
    expect(accepted.exitCode, accepted.errors).toBe(0);
  });

  it('says what the broker refused', async () => {
    const other = await NativeHost.install();
    try {
      const refused = await host.command(enrollArguments(), { input: await tokenFor(other) });
      expect(refused.exitCode).toBe(1);
      expect(refused.errors).toContain('(enrollment_token_invalid)');
    } finally {
      other.remove();
    }
  });

  it('#30 gives the sixth installation on one machine the exact refusal', async () => {
    const installations: NativeHost[] = [];
    try {
      for (let count = 1; count <= 6; count++) {
        const installation = await NativeHost.install({}, host.hardwareId);
        installations.push(installation);
        const token = await tokenFor(host);
        const { exitCode, errors } = await installation.command(enrollArguments(), {
          input: token,
        });
        expect([count, exitCode]).toEqual([count, count <= 5 ? 0 : 1]);
        if (count === 6) {
          expect(errors).toContain(
            'Maximum enrollment limit of 5 certificates for a device is reached',
          );
        }
      }
    } finally {
      for (const installation of installations) installation.remove();
    }
  });

  it('can be tried again later when the broker cannot be reached', async () => {
    const args = ['enroll', '--broker', 'http://127.0.0.1:9'];
    const { exitCode, errors } = await host.command(args, { input: randomText() });
    expect(exitCode).toBe(3);
    expect(errors).toContain('(broker_unreachable)');
  });
});

/** How many looks at the processes of this machine showed the secret in a command line or an environment but the host's. */
async function watchCommandLines(secret: string, isOver: () => boolean): Promise<number> {
  let sightings = 0;
  while (!isOver()) {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        if (readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(secret)) sightings += 1;
      } catch {
        // The process has ended meanwhile.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return sightings;
}
