import { encodeBase64url } from '@countersign/protocol';
import { BrokerClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { startCfssl } from './cfssl.ts';
import { alternate, type Figure, median } from './figures.ts';
import { prepareEnrollments, prepareSignRequests } from './measure-issuance.ts';
import { encodeCall, type LoadResult, sendAll } from './send-all.ts';
import { type DirectBroker, startBroker } from './workerd-direct.ts';

const rounds = 3;
const certificatesPerRound = 500;

/** Renewals of enrolled devices, each to a key of its own, as nothing else is due. */
async function prepareRenewals(
  broker: DirectBroker,
  devices: readonly FakeDevice[],
): Promise<Buffer[]> {
  return await Promise.all(
    devices.map(async (device) => {
      const next = await FakeDevice.create(device.hardwareId);
      const claims = { rekey_csr: encodeBase64url(next.csr) };
      const renewal_request = await device.renewalRequest(broker.url, { claims });
      return encodeCall({
        method: 'POST',
        path: '/v1/renewals',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ renewal_request }),
      });
    }),
  );
}

/** Enrolled, a few at a time, and not measured. */
async function enrollAll(broker: DirectBroker, round: number): Promise<FakeDevice[]> {
  const { url: brokerUrl, ownerToken } = broker;
  const client = new BrokerClient({ fetch, brokerUrl, ownerToken });
  const devices: FakeDevice[] = [];
  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    for (let index = lane; index < certificatesPerRound; index += 8) {
      const device = await FakeDevice.create({ serial_number: `R${round}X${100_000 + index}` });
      await client.enroll(device);
      devices.push(device);
    }
  });
  await Promise.all(lanes);
  return devices;
}

const ratioOf = (ours: readonly LoadResult[], theirs: readonly LoadResult[]) =>
  median(ours.map((run, index) => run.perSecond / (theirs[index]?.perSecond ?? Number.NaN)));
const inNumbers = (runs: readonly LoadResult[]) =>
  `${median(runs.map((run) => run.perSecond)).toFixed(0)}/s, ${median(runs.map((run) => run.cpuMicroseconds)).toFixed(0)} µs`;

/**
 * Renewals to a new key over HTTP (signature of the old key, proof of the new one, key claim, intent, certificate, the
 * old one superseded), in turn with enrollments and with `cfssl serve` with SQLite, which knows no renewal: a client of
 * it has a certificate signed once more.
 */
export async function measureRenewals(directory: string): Promise<Figure[]> {
  const broker = await startBroker(directory);
  const cfssl = await startCfssl(directory);
  try {
    let round = 0;
    const runs = await alternate(rounds, {
      renewals: async () => {
        const devices = await enrollAll(broker, round);
        return await sendAll({
          ...broker,
          requests: await prepareRenewals(broker, devices),
          isExpected: (answer) => answer.includes('"renewed":true'),
        });
      },
      issuance: async () => {
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
    for (const [name, results] of Object.entries(runs)) {
      const failed = results.find(({ failures }) => failures > 0);
      if (failed !== undefined) throw new Error(`${name}: ${failed.failures}: ${failed.failure}`);
    }
    return [
      {
        name: 'durable renewals/s ÷ cfssl with sqlite',
        value: `${ratioOf(runs.renewals, runs.cfssl).toFixed(1)}×`,
        target: '≥ 3×',
        note: `to a new key each; ${inNumbers(runs.renewals)} ÷ ${inNumbers(runs.cfssl)}`,
      },
      {
        name: 'durable renewals/s ÷ issuance/s',
        value: ratioOf(runs.renewals, runs.issuance).toFixed(2),
        target: '',
        note: `${inNumbers(runs.renewals)} ÷ ${inNumbers(runs.issuance)}`,
      },
    ];
  } finally {
    await broker.stop();
    await cfssl.stop();
  }
}
