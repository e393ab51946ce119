import { BrokerClient, randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import type { HttpCall } from './send-all.ts';
import type { DirectBroker } from './workerd-direct.ts';

/** Devices that are enrolled and bound, each to a user of its own. */
export type Fleet = {
  readonly broker: BrokerClient;
  readonly client: TestClient;
  readonly devices: readonly FakeDevice[];
};

/** Each device has a user of its own. */
export const userOf = (index: number) => `user-${index}@example.com`;

export async function enrollFleet(broker: DirectBroker, size: number): Promise<Fleet> {
  const client = new BrokerClient({
    fetch: (url, init) => fetch(url, init),
    brokerUrl: broker.url,
    ownerToken: broker.ownerToken,
  });
  const registered = await client.registerClient({ name: 'bench' });
  const devices: FakeDevice[] = [];
  for (let index = 0; index < size; index++) {
    const device = await FakeDevice.create({ serial_number: `BENCH${index + 1000}` });
    await client.enroll(device);
    const answer = await client.signIn(registered, device, userOf(index));
    if (!answer.decision) throw new Error(`first sign-in: ${answer.context.reason_code}`);
    devices.push(device);
  }
  return { broker: client, client: registered, devices };
}

/** One evaluation request that has never been sent, of the device with this number. */
export async function prepareSignIn(fleet: Fleet, index: number): Promise<HttpCall> {
  const deviceNumber = index % fleet.devices.length;
  const device = fleet.devices[deviceNumber];
  if (device === undefined) throw new Error('no devices');
  const transaction = randomText();
  const challenge = await fleet.broker.challenge(fleet.client, transaction);
  const evidence = await device.evidence(challenge, fleet.client.origin);
  const { clientId, clientSecret } = fleet.client;
  return {
    method: 'POST',
    path: '/access/v1/evaluation',
    headers: {
      'Content-Type': 'application/json',
      Authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}`,
    },
    body: JSON.stringify(
      fleet.broker.evaluationBody(fleet.client, {
        subject: userOf(deviceNumber),
        transaction,
        evidence,
      }),
    ),
  };
}

/** Challenges live for a minute: what is prepared must be sent soon. */
export async function prepareSignIns(fleet: Fleet, count: number): Promise<HttpCall[]> {
  const calls: HttpCall[] = [];
  const lanes = 8;
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let index = lane; index < count; index += lanes) {
        calls.push(await prepareSignIn(fleet, index));
      }
    }),
  );
  return calls;
}
