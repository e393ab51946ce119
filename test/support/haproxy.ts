import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { readBrokerCertificate } from './broker-keys.ts';
import { createTlsAuthority } from './browser/tls-authority.ts';
import { findFreePort } from './free-port.ts';
import { askMtls, keyPairOf, type MtlsAnswer, type MtlsRequest } from './mtls-client.ts';
import { enrollDevice, openTransaction } from './sign-in-attempt.ts';
import { TestBroker } from './test-broker.ts';

/** HAProxy with the configuration that the edge server's documentation gives. */
export type RunningHaproxy = {
  readonly port: number;
  stop(): Promise<void>;
};

const documented = fileURLToPath(new URL('../../packages/edge-server/haproxy/', import.meta.url));

/** The names in the documented configuration. */
export const haproxyNames = { broker: 'broker.example.com', mtls: 'mtls.example.com' } as const;

/** A folder for what HAProxy and the edge server share. */
export const makeHaproxyFolder = () => mkdtempSync(join(tmpdir(), 'countersign-haproxy-'));

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/**
 * @param folder of `makeHaproxyFolder`; removed with `stop`
 * @param options.issuerPem certificate under which devices are known
 * @param options.change makes another configuration of the documented one
 */
export async function startHaproxy(
  folder: string,
  options: {
    readonly frontSocket: string;
    readonly issuerPem: string;
    readonly change?: (configuration: string) => string;
  },
): Promise<RunningHaproxy> {
  const authority = await createTlsAuthority(new Date());
  for (const [file, name] of [
    ['broker.pem', haproxyNames.broker],
    ['mtls.pem', haproxyNames.mtls],
  ] as const) {
    const { key, cert } = await authority.issue([name]);
    writeFileSync(join(folder, file), `${cert}\n${key}\n`, { mode: 0o600 });
  }
  writeFileSync(join(folder, 'device-issuer.pem'), options.issuerPem);
  copyFileSync(join(documented, 'crt-list.txt'), join(folder, 'crt-list.txt'));
  const configuration = readFileSync(join(documented, 'haproxy.cfg'), 'utf8');
  const configurationFile = join(folder, 'haproxy.cfg');
  writeFileSync(configurationFile, options.change?.(configuration) ?? configuration);

  const port = await findFreePort();
  const child = spawn('/usr/sbin/haproxy', ['-db', '-f', configurationFile], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      COUNTERSIGN_LISTEN: `127.0.0.1:${port}`,
      COUNTERSIGN_TLS: folder,
      COUNTERSIGN_FRONT_SOCKET: options.frontSocket,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += String(text);
    });
  }
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  for (let attempt = 0; attempt < 100; attempt++) {
    if (child.exitCode !== null) break;
    if (await isListening(port)) return { port, stop };
    await sleep(50);
  }
  await stop();
  throw new Error(`HAProxy did not start: ${output}`);
}

/** A broker whose clients come through HAProxy, with a client and an enrolled device. */
export type BehindHaproxy = {
  readonly broker: TestBroker;
  readonly client: TestClient;
  readonly device: FakeDevice;
  readonly haproxy: RunningHaproxy;
  /** HAProxy's files, and what a test adds; removed with `stop`. */
  readonly folder: string;
  readonly frontSocket: string;
  readonly issuerPem: string;
  /** One request through HAProxy; it would get evidence if nothing were changed. */
  ask(changes?: MtlsRequest): Promise<MtlsAnswer>;
  stop(): Promise<void>;
};

export async function startBehindHaproxy(): Promise<BehindHaproxy> {
  const folder = makeHaproxyFolder();
  const frontSocket = join(folder, 'front.sock');
  const broker = await TestBroker.start({
    front: { socket: frontSocket, mtlsUrl: `https://${haproxyNames.mtls}` },
  });
  try {
    const client = await broker.client.registerClient();
    const device = await enrollDevice(broker);
    const issuerPem = readBrokerCertificate(broker.dataDirectory, 'issuer').toString();
    const haproxy = await startHaproxy(folder, { frontSocket, issuerPem });
    return {
      ...{ broker, client, device, haproxy, folder, frontSocket, issuerPem },
      ask: async (changes = {}) =>
        askMtls(broker, {
          port: haproxy.port,
          pair: keyPairOf(device),
          challenge: (await openTransaction(broker, client)).challenge,
          origin: client.origin,
          ...changes,
        }),
      stop: async () => {
        await broker.stopAndRemove();
        await haproxy.stop();
      },
    };
  } catch (error) {
    await broker.stopAndRemove();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}
