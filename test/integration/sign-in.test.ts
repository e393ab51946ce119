import { FakeDevice } from '@countersign/testkit/fake-device';
import { expect, test } from 'vitest';
import { broker } from './test-broker.ts';

test('an enrolled device signs in', async () => {
  const client = await broker.registerClient();
  const device = await FakeDevice.create();
  await broker.enroll(device);
  const answer = await broker.signIn(client, device);
  expect(answer).toMatchObject({ decision: true, context: { reason_code: 'trusted_device' } });
});
