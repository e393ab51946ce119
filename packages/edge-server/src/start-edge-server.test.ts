import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import { describe, expect, it, onTestFinished } from 'vitest';
import { identifyProcess, isProcessAlive } from './process-identity.ts';
import { startEdgeServer } from './start-edge-server.ts';
import { writeEchoWorker } from './testing/echo-worker.ts';
import { startTestServer, testOptions, visits } from './testing/start-test-server.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

describe('startEdgeServer', () => {
  it('gives the worker every setting, and keys that it can use but not read', async () => {
    const options = await testOptions(temporaryDirectory());
    const server = await startTestServer(options);
    const { texts, keys, outward } = Object(
      await (await fetch(`${server.httpUrl}/bindings`)).json(),
    );
    expect(server.httpUrl).toBe(`http://127.0.0.1:${options.httpPort}`);
    expect(server.tlsUrl).toBe(`https://127.0.0.1:${options.tlsPort}`);
    expect(texts).toEqual({
      BROKER_URL: server.httpUrl,
      ORGANIZATION_ID: server.organizationId,
      SHARD_COUNT: '16',
      OWNER_TOKEN_SHA256: createHash('sha256').update(server.ownerToken).digest('base64url'),
      ROOT_CERTIFICATE: server.rootCertificatePem,
      ISSUER_CERTIFICATE: expect.stringContaining('BEGIN CERTIFICATE'),
      SCEP_RA_CERTIFICATE: expect.stringContaining('BEGIN CERTIFICATE'),
      SCEP_RA_KEY: expect.stringContaining('BEGIN PRIVATE KEY'),
      KEY_SET: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      PUBLIC_KEYS: expect.stringContaining('"response_encryption"'),
    });
    const key = { kty: 'EC', crv: 'P-256', x: expect.any(String), y: expect.any(String) };
    expect(JSON.parse(texts.PUBLIC_KEYS)).toEqual({
      challenge: [key],
      mtls_evidence: [key],
      decision: [key],
      response_encryption: [key],
      audit: [key],
    });
    const signing = { extractable: false, algorithm: 'ECDSA', usages: ['sign'] };
    expect(keys).toEqual({
      ISSUER_KEY: signing,
      CHALLENGE_KEY: signing,
      MTLS_EVIDENCE_KEY: signing,
      DECISION_KEY: signing,
      AUDIT_KEY: signing,
      RESPONSE_KEY: { extractable: false, algorithm: 'ECDH', usages: ['deriveBits'] },
      DEVICE_ID_KEY: { extractable: false, algorithm: 'HMAC', usages: ['sign'] },
      STORED_SECRETS_KEY: {
        extractable: false,
        algorithm: 'AES-GCM',
        usages: ['encrypt', 'decrypt'],
      },
    });
    expect(outward).toBe('refused');
  });

  it('writes no secret into the configuration or the log', async () => {
    const lines: string[] = [];
    const options = await testOptions(temporaryDirectory());
    const server = await startTestServer({ ...options, log: (line) => lines.push(line) });
    await fetch(`${server.httpUrl}/`, {
      headers: { Authorization: `Bearer ${server.ownerToken}` },
    });
    await server.stop();
    const configuration = readFileSync(join(server.dataDirectory, 'workerd.capnp'), 'utf8');
    const key = readFileSync(join(server.dataDirectory, 'keys/issuer.pem'), 'utf8');
    for (const text of [configuration, lines.join('\n')]) {
      expect(text).not.toContain(server.ownerToken);
      expect(text).not.toContain('PRIVATE KEY');
      expect(text).not.toContain(key.split('\n')[1]);
    }
    expect(lines.map((line) => JSON.parse(line).event)).toEqual([
      'data_directory_created',
      'started',
      'stopped',
    ]);
  });

  it('keeps its state over a stop, and leaves no process and no socket behind', async () => {
    const options = await testOptions(temporaryDirectory());
    const first = await startTestServer(options);
    const pid = first.workerdPid();
    const record = JSON.parse(readFileSync(join(first.dataDirectory, 'server.json'), 'utf8'));
    expect(record).toMatchObject({ server: { pid: process.pid }, workerd: { pid } });
    expect(await visits(first.httpUrl)).toBe(1);
    await first.stop();
    await first.stop();
    expect(isProcessAlive(pid ?? 0)).toBe(false);
    expect(existsSync(record.socket_directory)).toBe(false);
    await expect(fetch(first.httpUrl)).rejects.toThrow();

    const second = await startTestServer(options);
    expect(await visits(second.httpUrl)).toBe(2);
    expect(second.ownerToken).toBe(first.ownerToken);
  });

  it('lets a request that is under way come to its end when it stops', async () => {
    const server = await startTestServer(await testOptions(temporaryDirectory()));
    await fetch(server.httpUrl);
    const slow = fetch(`${server.httpUrl}/slow`, { method: 'POST', body: 'x' });
    await sleep(300);
    const startedAt = performance.now();
    await server.stop();
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect((await slow).status).toBe(200);
  });

  it('ends the workerd of a crashed server, and no other process that has its number now', async () => {
    const options = await testOptions(temporaryDirectory());
    await (await startTestServer(options)).stop();
    const sleeper = () => {
      const child = spawn('sleep', ['60'], { stdio: 'ignore' });
      onTestFinished(() => void child.kill('SIGKILL'));
      return child;
    };
    const [left, other] = [sleeper(), sleeper()];
    await sleep(50);
    const start = async (workerd: object | undefined) => {
      const record = { server: { pid: 1, started: 'long ago' }, workerd };
      writeFileSync(join(options.dataDirectory, 'server.json'), JSON.stringify(record));
      const lines: string[] = [];
      const server = await startTestServer({ ...options, log: (line) => lines.push(line) });
      await server.stop();
      return lines.join();
    };
    const otherNow = { pid: other.pid, started: 'at another time' };
    expect(await start(otherNow)).not.toContain('left_workerd_ended');
    expect(other.signalCode).toBeNull();
    expect(await start(identifyProcess(left.pid ?? 0))).toContain('left_workerd_ended');
    expect(left.signalCode).toBe('SIGKILL');
  });

  it('gives up its start when the broker refuses its settings, and says why', async () => {
    const directory = temporaryDirectory();
    const options = await testOptions(directory);
    const problem = {
      type: 'about:blank',
      title: 'Another number of shards.',
      status: 503,
      code: 'deployment_mismatch',
    };
    const refusing = writeEchoWorker(directory, problem);
    await expect(startEdgeServer({ ...options, workerBundle: refusing })).rejects.toMatchObject({
      failure: 'deployment_mismatch',
      message: expect.stringContaining('Another number of shards.'),
    });
    await expect(fetch(`http://127.0.0.1:${options.httpPort}`)).rejects.toThrow();
    // Nothing was left that would be in the way.
    await startTestServer({ ...options, workerBundle: writeEchoWorker(directory) });
  });

  it('gives up its start when the worker does not load, with what workerd says about it', async () => {
    const directory = temporaryDirectory();
    const broken = join(directory, 'broken.js');
    writeFileSync(broken, 'export default { fetch( {');
    const options = { ...(await testOptions(directory)), workerBundle: broken };
    await expect(startEdgeServer(options)).rejects.toMatchObject({
      failure: 'worker_not_healthy',
      message: expect.stringContaining('SyntaxError'),
    });
  });

  it('says in one line what the system refused', async () => {
    const options = await testOptions(temporaryDirectory());
    await (await startTestServer(options)).stop();
    rmSync(join(options.dataDirectory, 'workerd.capnp'));
    // A folder where a file has to be written.
    mkdirSync(join(options.dataDirectory, 'workerd.capnp'));
    await expect(startEdgeServer(options)).rejects.toMatchObject({
      failure: 'system_error',
      message: expect.stringMatching(/^The system refused: EISDIR: .*workerd\.capnp'\.$/),
    });
    await expect(fetch(`http://127.0.0.1:${options.httpPort}`)).rejects.toThrow();
  });

  it('names what is missing before it begins', async () => {
    const options = await testOptions(temporaryDirectory());
    await expect(
      startEdgeServer({ ...options, workerBundle: '/nowhere/index.js' }),
    ).rejects.toMatchObject({ failure: 'worker_bundle_missing' });
    expect(existsSync(options.dataDirectory)).toBe(false);
  });

  it.each(['httpPort', 'tlsPort'] as const)(
    'names a busy %s and the flag for another',
    async (name) => {
      const options = await testOptions(temporaryDirectory());
      const other = createServer();
      const port = await listenOnFreePort(other);
      onTestFinished(() => void other.close());
      const flag = name === 'httpPort' ? '--http-port' : '--tls-port';
      await expect(startEdgeServer({ ...options, [name]: port })).rejects.toMatchObject({
        failure: 'port_in_use',
        message: `port ${port} is in use by another program; choose another with ${flag}`,
      });
      // The other port and the data folder are free again.
      await startTestServer(options);
    },
  );

  it('refuses a data folder that another server runs on, and one that is open to others', async () => {
    const options = await testOptions(temporaryDirectory());
    const { httpPort, tlsPort } = await testOptions(temporaryDirectory());
    const server = await startTestServer(options);
    await expect(startEdgeServer({ ...options, httpPort, tlsPort })).rejects.toMatchObject({
      failure: 'data_directory_in_use',
    });
    expect((await fetch(`${server.httpUrl}/`)).status).toBe(200);
    await server.stop();
    chmodSync(options.dataDirectory, 0o750);
    await expect(startEdgeServer(options)).rejects.toMatchObject({
      failure: 'data_directory_permissions',
    });
  });

  it('says that a new broker URL locks out the devices of the old one', async () => {
    const lines: string[] = [];
    const options = await testOptions(temporaryDirectory());
    await (await startTestServer(options)).stop();
    const server = await startTestServer({
      ...options,
      brokerUrl: 'https://broker.example.com',
      log: (line) => lines.push(line),
    });
    expect(server.brokerUrl).toBe('https://broker.example.com');
    expect(lines.find((line) => line.includes('broker_url_changed'))).toContain(
      `was http://127.0.0.1:${options.httpPort} and is https://broker.example.com now`,
    );
  });
});
