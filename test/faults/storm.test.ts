// A thousand devices that enroll at once, as after a software distribution: each has one certificate in the end.

import { setTimeout as sleep } from 'node:timers/promises';
import { enrollmentAnswer } from '@countersign/protocol/enrollment';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { percentile } from '../bench/figures.ts';
import { peakMemoryMiB } from '../support/process-memory.ts';
import { TestBroker } from '../support/test-broker.ts';

const deviceCount = 1000;
const maxAttempts = 20;

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start({ shardCount: 16 });
});
afterAll(() => broker?.stopAndRemove());

type Prepared = { readonly device: FakeDevice; readonly deviceId: string; readonly body: unknown };

/** Keys, requests and tokens, made before the storm. */
async function prepare(): Promise<Prepared[]> {
  const prepared: Prepared[] = [];
  const lanes = Array.from({ length: 16 }, async (_, lane) => {
    for (let index = lane; index < deviceCount; index += 16) {
      const device = await FakeDevice.create({ serial_number: `STORM${index + 10_000}` });
      const token = await broker.client.createEnrollmentToken(device.hardwareId, 3600);
      const body = device.enrollmentRequest(token.enrollment_token);
      prepared.push({ device, deviceId: token.device_id, body });
    }
  });
  await Promise.all(lanes);
  return prepared;
}

/** Sends until there is a certificate; only what says that it may be sent again is sent again. */
async function enroll(
  body: unknown,
): Promise<{ certificate: string; ms: number; attempts: number }> {
  const began = performance.now();
  for (let attempts = 1; attempts <= maxAttempts; attempts++) {
    const response = await broker.client.post('/v1/enrollments', body);
    const text = await response.text();
    if (response.ok) {
      const { certificate } = enrollmentAnswer.parse(JSON.parse(text));
      return { certificate, ms: performance.now() - began, attempts };
    }
    const retryAfter = Number(response.headers.get('Retry-After'));
    expect([429, 503], text).toContain(response.status);
    expect(retryAfter, text).toBeGreaterThan(0);
    await sleep(retryAfter * 1000 * (0.5 + Math.random()));
  }
  throw new Error(`no certificate after ${maxAttempts} attempts`);
}

it(`gives each of ${deviceCount} devices that come at once its one certificate`, async () => {
  const prepared = await prepare();
  const began = performance.now();
  const enrolled = await Promise.all(prepared.map(({ body }) => enroll(body)));
  const seconds = (performance.now() - began) / 1000;

  expect(new Set(enrolled.map(({ certificate }) => certificate)).size).toBe(deviceCount);
  const devices = await Promise.all(prepared.map(({ deviceId }) => broker.client.device(deviceId)));
  const serials = devices.flatMap(({ certificates }) =>
    certificates.map(({ serial_number }) => serial_number),
  );
  expect(serials.length).toBe(deviceCount);
  expect(new Set(serials).size).toBe(deviceCount);
  for (const { certificates, unbound_certificates } of devices) {
    expect([certificates[0]?.status, unbound_certificates]).toEqual(['issued', 1]);
  }

  const times = enrolled.map(({ ms }) => ms);
  const workerdMiB = peakMemoryMiB(broker.server.workerdPid() ?? 0);
  const sentAgain = enrolled.filter(({ attempts }) => attempts > 1).length;
  console.log(
    [
      `${deviceCount} enrollments in ${seconds.toFixed(1)} s`,
      `p50 ${percentile(times, 0.5).toFixed(0)} ms, p99 ${percentile(times, 0.99).toFixed(0)} ms`,
      `${sentAgain} sent again, workerd at most ${workerdMiB.toFixed(0)} MiB`,
    ].join('; '),
  );
  expect(workerdMiB).toBeLessThan(1024);
}, 120_000);
