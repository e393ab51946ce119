import { packEvidence } from '@countersign/protocol';
import type { EvaluationAnswer } from '@countersign/protocol/evaluation';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { type DeviceKeyKind, FakeDevice } from '@countersign/testkit/fake-device';
import type { TestBroker } from './test-broker.ts';

/** A managed device, ready to sign in. */
export async function enrollDevice(
  broker: TestBroker,
  kind: DeviceKeyKind = 'ec-p256',
): Promise<FakeDevice> {
  const device = await FakeDevice.create(undefined, kind);
  await broker.client.enroll(device);
  return device;
}

/** A transaction of the sign-in server with the challenge that the page got for it. */
export async function openTransaction(
  broker: TestBroker,
  client: TestClient,
): Promise<{ readonly transaction: string; readonly challenge: string }> {
  const transaction = randomText();
  return { transaction, challenge: await broker.client.challenge(client, transaction) };
}

export const evidenceOf = (unverifiedChallenge: string, unverifiedResponse: string): string =>
  packEvidence({ unverifiedChallenge, unverifiedResponse });

/** The device's one certificate, as the administrator sees it. */
export async function certificateOf(
  broker: TestBroker,
  device: { readonly deviceId: string | undefined },
) {
  const { certificates } = await broker.client.device(device.deviceId ?? '');
  const [certificate] = certificates;
  if (certificate === undefined || certificates.length > 1) {
    throw new Error(`the device has ${certificates.length} certificates, not one`);
  }
  return certificate;
}

/** A sign-in whose evidence was made by the test. */
export async function evaluateWith(
  broker: TestBroker,
  client: TestClient,
  makeEvidence: (challenge: string) => string | Promise<string>,
  subject = 'ada',
): Promise<EvaluationAnswer> {
  const { transaction, challenge } = await openTransaction(broker, client);
  const evidence = await makeEvidence(challenge);
  return await broker.client.evaluate(client, { transaction, evidence, subject });
}
