// The shipped `countersign` program against the real broker: enrollment, and what it signs for whom.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UnavailableCode } from '@countersign/protocol';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { keyIdOf, readBrokerCertificate, readBrokerKey } from '../support/broker-keys.ts';
import { expectDenied, expectTrusted } from '../support/expect-answer.ts';
import { newKeyPair } from '../support/forge-certificate.ts';
import { encodePart, signEs256 } from '../support/forge-token.ts';
import { frame, NativeHost } from '../support/native-host.ts';
import { evidenceOf, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const origin = 'https://sso.example.com';

let broker: TestBroker;
let client: TestClient;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient({ origin });
});
afterAll(() => broker?.stopAndRemove());

const tokenFor = async (host: NativeHost, at = broker) =>
  (await at.client.createEnrollmentToken(host.hardwareId)).enrollment_token;
const enrollArguments = (at = broker) => ['enroll', '--broker', at.url];

async function enroll(host: NativeHost): Promise<string> {
  const { enrollment_token, device_id } = await broker.client.createEnrollmentToken(
    host.hardwareId,
  );
  const { exitCode, errors } = await host.command(enrollArguments(), { input: enrollment_token });
  expect(errors).toBe('');
  expect(exitCode).toBe(0);
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

describe('countersign native-messaging', () => {
  let host: NativeHost;
  beforeAll(async () => {
    host = await NativeHost.install({ origins: [origin, 'https://second.example.com'] });
    await enroll(host);
  });
  afterAll(() => host?.remove());

  async function signIn(options: { clock?: string } = {}) {
    const { transaction, challenge } = await openTransaction(broker, client);
    const answer = await host.attest(challenge, origin, options);
    if (answer.type !== 'attest') return { answer };
    const evidence = evidenceOf(challenge, answer.response);
    return { answer, decision: await broker.client.evaluate(client, { transaction, evidence }) };
  }

  const expectError = (answer: { type: string }, code: UnavailableCode) =>
    expect(answer).toMatchObject({ type: 'error', id: '1', code });

  it('answers a challenge, and the broker trusts the answer', async () => {
    const { decision } = await signIn();
    if (decision === undefined) throw new Error('the host answered');
    expectTrusted(decision);
  });

  it('answers several messages on one port, in order', async () => {
    const { challenge } = await openTransaction(broker, client);
    const attest = { version: 1, type: 'attest', challenge, origin };
    const { answers, exitCode } = await host.converse(
      Buffer.concat([
        frame({ version: 1, id: 'a', type: 'status' }),
        frame({ ...attest, id: 'b' }),
        frame({ ...attest, id: 'c', origin: 'https://evil.example' }),
        frame({ ...attest, id: 'd' }),
      ]),
    );
    expect(exitCode).toBe(0);
    expect(answers.map(({ id, type }) => [id, type])).toEqual([
      ['a', 'status'],
      ['b', 'attest'],
      ['c', 'error'],
      ['d', 'attest'],
    ]);
  });

  it.each(['+9m', '-9m'])(
    'answers with a clock that is wrong by %s, and is trusted',
    async (clock) => {
      const { decision } = await signIn({ clock });
      if (decision === undefined) throw new Error('the host answered');
      expectTrusted(decision);
    },
  );

  it.each(['+11m', '-11m', '+400d', '-400d'])(
    'says that its clock is wrong by %s',
    async (clock) => {
      expectError((await signIn({ clock })).answer, 'clock_skew');
    },
  );

  it.each([
    'https://evil.example',
    'https://sso.example.com.evil.example',
    'https://sso.example.com:8443',
    'https://second.example.com',
  ])('#5 does not answer for the page %s', async (evil) => {
    const { challenge } = await openTransaction(broker, client);
    expectError(await host.attest(challenge, evil), 'origin_not_allowed');
  });

  it.each([
    'null',
    '',
    'http://sso.example.com',
    'https://SSO.example.com',
    'https://sso.example.com/',
  ])('#5 takes %j for no origin', async (evil) => {
    const { challenge } = await openTransaction(broker, client);
    expectError(await host.attest(challenge, evil), 'message_malformed');
  });

  it('does not answer for a page that is on the list of the challenge alone', async () => {
    const other = await broker.client.registerClient({ origin: 'https://third.example.com' });
    const { challenge } = await openTransaction(broker, other);
    expectError(await host.attest(challenge, other.origin), 'origin_not_allowed');
  });

  describe('#8 a challenge', () => {
    type Forge = (claims: object, header: { kid: string }, challenge: string) => string;
    const key = () => readBrokerKey(broker.dataDirectory, 'challenge');
    const cases: Record<string, [UnavailableCode, Forge]> = {
      'with alg none': [
        'challenge_malformed',
        (claims, header) =>
          `${encodePart({ ...header, alg: 'none' })}.${encodePart({ ...claims })}.AA`,
      ],
      'of a foreign key': [
        'challenge_signature_invalid',
        (claims, header) => signEs256(header, { ...claims }, newKeyPair().privateKey),
      ],
      "of the broker's decision key": [
        'challenge_signature_invalid',
        (claims, header) =>
          signEs256(header, { ...claims }, readBrokerKey(broker.dataDirectory, 'decision')),
      ],
      'with an unknown key id': [
        'challenge_key_unknown',
        (claims, header) => signEs256({ ...header, kid: 'A'.repeat(43) }, { ...claims }, key()),
      ],
      'with an embedded key': [
        'challenge_malformed',
        (claims, header) =>
          signEs256({ ...header, jwk: { kty: 'EC' } }, { ...claims }, newKeyPair().privateKey),
      ],
      'with crit': [
        'challenge_malformed',
        (claims, header) => signEs256({ ...header, crit: ['exp'] }, { ...claims }, key()),
      ],
      'with the typ of a decision': [
        'challenge_malformed',
        (claims, header) => signEs256({ ...header, typ: 'decision+jwt' }, { ...claims }, key()),
      ],
      '#6 for another organization': [
        'challenge_wrong_audience',
        (claims, header) => signEs256(header, { ...claims, aud: `org_${'A'.repeat(22)}` }, key()),
      ],
      '#6 from another broker': [
        'challenge_wrong_audience',
        (claims, header) => signEs256(header, { ...claims, iss: 'https://evil.example' }, key()),
      ],
      'made eleven minutes ago': [
        'clock_skew',
        (claims, header) =>
          signEs256(header, { ...claims, iat: Math.floor(Date.now() / 1000) - 660 }, key()),
      ],
      'with an encryption key off the curve': [
        'challenge_malformed',
        (claims, header) => {
          const jwk = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) };
          return signEs256(header, { ...claims, response_encryption: { kid: 'a', jwk } }, key());
        },
      ],
      'changed after it was signed': [
        'challenge_signature_invalid',
        (claims, _, challenge) =>
          challenge
            .split('.')
            .with(1, encodePart({ ...claims, client_id: 'evil' }))
            .join('.'),
      ],
    };
    it.each(Object.entries(cases))('%s is not answered', async (_, [code, forge]) => {
      const { challenge } = await openTransaction(broker, client);
      const header = { alg: 'ES256', typ: 'challenge+jwt', kid: await keyIdOf(key()) };
      const forged = forge(decodeJwt(challenge), header, challenge);
      expectError(await host.attest(forged, origin), code);
    });

    it('that has expired is answered, and judged by the clock of the broker', async () => {
      const { transaction, challenge } = await openTransaction(broker, client);
      const header = { alg: 'ES256', typ: 'challenge+jwt', kid: await keyIdOf(key()) };
      const now = Math.floor(Date.now() / 1000);
      const claims: object = decodeJwt(challenge);
      const expired = signEs256(header, { ...claims, iat: now - 120, exp: now - 60 }, key());
      const answer = await host.attest(expired, origin);
      if (answer.type !== 'attest') throw new Error(`the host answered ${answer.type}`);
      const evidence = evidenceOf(expired, answer.response);
      const decision = await broker.client.evaluate(client, { transaction, evidence });
      expectDenied(decision, 'challenge_expired');
    });
  });

  describe('#7 a wish to sign', () => {
    const claims = { sub: 'root' };
    const wishes: Record<string, unknown> = {
      'by another name': { version: 1, id: '1', type: 'sign', data: 'AAAA' },
      'with more than is asked for': { version: 1, id: '1', type: 'status', sign: 'AAAA' },
    };
    it.each(Object.entries(wishes))('%s is refused', async (_, message) => {
      const { answers } = await host.converse(frame(message));
      expect(answers).toMatchObject([{ type: 'error', code: 'message_malformed' }]);
    });

    it.each([
      `${encodePart({ alg: 'ES256' })}.${encodePart(claims)}`,
      Buffer.concat([
        Buffer.alloc(64, 0x20),
        Buffer.from('TLS 1.3, client CertificateVerify\u0000'),
      ]).toString('base64url'),
      Buffer.from('3059301306072a8648ce3d0201', 'hex').toString('base64url'),
    ])('of bytes that are no challenge is refused', async (bytes) => {
      expectError(await host.attest(bytes, origin), 'message_malformed');
    });
  });

  it('in a later version is refused as that', async () => {
    const { answers } = await host.converse(frame({ version: 2, id: '1', type: 'status' }));
    expect(answers).toMatchObject([{ type: 'error', code: 'host_version_unsupported' }]);
  });

  it('without an enrollment says so', async () => {
    const fresh = await NativeHost.install();
    try {
      const { challenge } = await openTransaction(broker, client);
      expectError(await fresh.attest(challenge, origin), 'not_enrolled');
    } finally {
      fresh.remove();
    }
  });

  it('#53 runs on no configuration that others than root could have written', async () => {
    const fresh = await NativeHost.install({ development: undefined });
    try {
      const { challenge } = await openTransaction(broker, client);
      expectError(await fresh.attest(challenge, origin), 'host_configuration_untrusted');
    } finally {
      fresh.remove();
    }
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
