import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { BrokerClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { findFreePort } from '../support/free-port.ts';
import { keyPairOf } from '../support/mtls-client.ts';
import { startProcess, waitUntilReady } from './child-process.ts';
import { alternate, type Figure, median } from './figures.ts';
import { cpuSecondsOf } from './send-all.ts';

const rounds = 5;
const handshakesPerRound = 600;
const connections = 4;
const mtlsName = 'mtls.bench.test';

/** Opens a connection, asks once and closes it; resolves when the answer has begun. */
function handshake(options: ConnectionOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...options, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      socket.write(`GET / HTTP/1.1\r\nHost: ${options.servername}\r\nConnection: close\r\n\r\n`);
    });
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
  });
}

/** Server CPU for each new connection with one small request, microseconds. */
async function connectionMicroseconds(pid: number, options: ConnectionOptions): Promise<number> {
  const before = cpuSecondsOf(pid);
  let left = handshakesPerRound;
  const lane = async () => {
    while (left-- > 0) await handshake(options);
  };
  await Promise.all(Array.from({ length: connections }, lane));
  return ((cpuSecondsOf(pid) - before) / handshakesPerRound) * 1e6;
}

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** What a client certificate adds to a TLS connection: in the front of the edge server, and in Node's own server. */
export async function measureMtls(directory: string): Promise<Figure[]> {
  const ports = Array.from({ length: 4 }, () => findFreePort());
  const [httpPort = 0, tlsPort = 0, peerPort = 0, peerMtlsPort = 0] = await Promise.all(ports);
  const data = join(directory, 'data');
  const server = startProcess(
    process.execPath,
    [
      path('../../packages/edge-server/src/main.ts'),
      ...['--data', data, '--http-port', `${httpPort}`, '--tls-port', `${tlsPort}`],
      ...['--mtls-url', `https://${mtlsName}:${tlsPort}`],
    ],
    { stderr: 'ignore' },
  );
  const brokerUrl = `http://127.0.0.1:${httpPort}`;
  try {
    await waitUntilReady(`${brokerUrl}/healthz`, server, (response) => response.ok);
    const ownerToken = readFileSync(join(data, 'owner-token'), 'utf8').trim();
    const device = await FakeDevice.create();
    await new BrokerClient({ fetch, brokerUrl, ownerToken }).enroll(device);
    const pair = keyPairOf(device);

    const files = ['tls/key.pem', 'tls/certificate.pem', 'certificates/issuer.pem'];
    const peer = startProcess(
      process.execPath,
      [
        path('tls-peer.js'),
        ...files.map((file) => join(data, file)),
        `${peerPort}`,
        `${peerMtlsPort}`,
      ],
      { stderr: 'inherit' },
    );
    try {
      const plain = { servername: 'localhost' };
      const asked = { servername: mtlsName, ...pair };
      const measures = {
        frontPlain: () => connectionMicroseconds(server.pid, { ...plain, port: tlsPort }),
        frontMtls: () => connectionMicroseconds(server.pid, { ...asked, port: tlsPort }),
        peerPlain: () => connectionMicroseconds(peer.pid, { ...plain, port: peerPort }),
        peerMtls: () => connectionMicroseconds(peer.pid, { ...asked, port: peerMtlsPort }),
      };
      await alternate(1, measures);
      const runs = await alternate(rounds, measures);
      const steps = runs.frontMtls.map((cpu, round) => cpu - (runs.frontPlain[round] ?? 0));
      const peerSteps = runs.peerMtls.map((cpu, round) => cpu - (runs.peerPlain[round] ?? 0));
      const [step, peerStep] = [median(steps), median(peerSteps)];
      return [
        {
          name: "mTLS step over plain TLS ÷ Node's own",
          value: `${(step / peerStep).toFixed(2)}×`,
          target: '',
          note: `CPU for each new connection: front ${median(runs.frontPlain).toFixed(0)} + ${step.toFixed(0)} µs, Node's https ${median(runs.peerPlain).toFixed(0)} + ${peerStep.toFixed(0)} µs`,
        },
      ];
    } finally {
      await peer.stop();
    }
  } finally {
    await server.stop();
  }
}
