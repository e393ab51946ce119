import { randomText, sha256Base64url, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { expect, test } from 'vitest';
import { broker } from './test-broker.ts';

async function registerOrigins(client: TestClient, origins: string[]): Promise<void> {
  await broker.putClient(client.clientId, {
    name: client.clientId,
    origins,
    applications: [client.application],
    authentication: {
      method: 'client_secret',
      secret_sha256: await sha256Base64url(client.clientSecret),
    },
  });
}

test('a challenge that is older than the removal of its origin proves nothing on that origin', async () => {
  const client = await broker.registerClient({ origin: 'https://old.example.com' });
  const device = await FakeDevice.create();
  await broker.enroll(device);
  const transaction = randomText();
  const challenge = await broker.challenge(client, transaction);
  const evidence = await device.evidence(challenge, client.origin);

  await registerOrigins(client, ['https://new.example.com']);
  const answer = await broker.evaluate(client, { transaction, evidence });
  expect(answer).toMatchObject({
    decision: false,
    context: { reason_code: 'response_wrong_origin', device_trusted: false },
  });
  const { certificates } = await broker.device(device.deviceId ?? '');
  expect(certificates).toMatchObject([{ status: 'issued' }]);
});

test('a challenge stays good on the origins that were kept', async () => {
  const client = await broker.registerClient({ origin: 'https://kept.example.com' });
  const device = await FakeDevice.create();
  await broker.enroll(device);
  const transaction = randomText();
  const challenge = await broker.challenge(client, transaction);
  const evidence = await device.evidence(challenge, client.origin);

  await registerOrigins(client, ['https://more.example.com', client.origin]);
  const answer = await broker.evaluate(client, { transaction, evidence });
  expect(answer).toMatchObject({ decision: true, context: { reason_code: 'trusted_device' } });
});
