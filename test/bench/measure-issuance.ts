import { decodeBase64url } from '@countersign/protocol';
import { BrokerClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { encodePem } from '@countersign/x509';
import { fileSizes } from '../support/folder-size.ts';
import { startCfssl } from './cfssl.ts';
import { alternate, type Figure, median } from './figures.ts';
import { encodeCall, type HttpCall, sendAll } from './send-all.ts';
import { type DirectBroker, startBroker } from './workerd-direct.ts';

const sizeOf = (folder: string) =>
  Object.values(fileSizes(folder)).reduce((sum, bytes) => sum + bytes, 0);

const rounds = 3;
const certificatesPerRound = 1500;

/** Devices with their tokens: everything that an enrollment needs beforehand. */
export async function prepareEnrollments(broker: DirectBroker, count: number, round: number) {
  const client = new BrokerClient({
    fetch: (url, init) => fetch(url, init),
    brokerUrl: broker.url,
    ownerToken: broker.ownerToken,
  });
  const lanes = 8;
  const prepared: { readonly device: FakeDevice; readonly call: HttpCall }[] = [];
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let index = lane; index < count; index += lanes) {
        const device = await FakeDevice.create({ serial_number: `B${round}X${100_000 + index}` });
        const { enrollment_token } = await client.createEnrollmentToken(device.hardwareId);
        prepared.push({
          device,
          call: {
            method: 'POST',
            path: '/v1/enrollments',
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify(device.enrollmentRequest(enrollment_token)),
          },
        });
      }
    }),
  );
  return prepared;
}

export async function prepareSignRequests(count: number): Promise<Buffer[]> {
  const device = await FakeDevice.create();
  const csr = decodeBase64url(device.enrollmentRequest('').csr) ?? new Uint8Array();
  const body = JSON.stringify({ certificate_request: encodePem('CERTIFICATE REQUEST', csr) });
  const headers = { 'Content-Type': 'application/json' };
  const call = encodeCall({ method: 'POST', path: '/api/v1/cfssl/sign', headers, body });
  return Array(count).fill(call);
}

/**
 * Durable issuance over HTTP: the broker's whole enrollment (token, proof of possession, key claim, intent,
 * certificate) against `cfssl serve` with SQLite, which authenticates nobody, in turn.
 */
export async function measureIssuance(directory: string): Promise<Figure[]> {
  const broker = await startBroker(directory);
  const cfssl = await startCfssl(directory);
  try {
    const emptyBytes = sizeOf(broker.durableObjects);
    let round = 0;
    const runs = await alternate(rounds, {
      broker: async () => {
        const prepared = await prepareEnrollments(broker, certificatesPerRound, round++);
        return await sendAll({
          ...broker,
          requests: prepared.map(({ call }) => encodeCall(call)),
          isExpected: (answer) => answer.startsWith('HTTP/1.1 201'),
        });
      },
      cfssl: async () =>
        sendAll({
          ...cfssl,
          requests: await prepareSignRequests(certificatesPerRound),
          isExpected: (answer) => answer.includes('"success":true'),
        }),
    });
    const failures = runs.broker.concat(runs.cfssl).reduce((sum, run) => sum + run.failures, 0);
    if (failures > 0) throw new Error(`${failures} certificates were not issued`);
    await broker.stop();
    const bytes = sizeOf(broker.durableObjects) - emptyBytes;
    const ours = median(runs.broker.map((run) => run.perSecond));
    const theirs = median(runs.cfssl.map((run) => run.perSecond));
    const ratio = median(
      runs.broker.map((run, index) => run.perSecond / (runs.cfssl[index]?.perSecond ?? 1)),
    );
    const devices = rounds * certificatesPerRound;
    return [
      {
        name: 'durable issuance/s ÷ cfssl with sqlite',
        value: `${ratio.toFixed(1)}×`,
        target: '≥ 3×',
        note: `${ours.toFixed(0)}/s ÷ ${theirs.toFixed(0)}/s; CPU ${median(runs.broker.map((run) => run.cpuMicroseconds)).toFixed(0)} µs ÷ ${median(runs.cfssl.map((run) => run.cpuMicroseconds)).toFixed(0)} µs`,
      },
      {
        name: 'bytes on disk per device with its certificate',
        value: `${(bytes / devices / 1000).toFixed(1)} KB`,
        target: '≤ 2 KB',
        note: `${devices} devices in 16 shards and 16 key shards, spent tokens and empty pages included`,
      },
    ];
  } finally {
    await broker.stop();
    await cfssl.stop();
  }
}
