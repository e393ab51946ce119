import { evictDurableObject } from 'cloudflare:test';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { identifyPublicKey } from '@countersign/x509';
import { vi } from 'vitest';
import { certificateProfiles } from '../../worker/src/ca/certificate-profile.ts';
import { planCertificate } from '../../worker/src/ca/issuer.ts';
import { planRenewal } from '../../worker/src/device/renew-certificate.ts';
import { ringAlarm } from './test-alarms.ts';
import { intentIn, renewalOf, testIssuer } from './test-issuance.ts';
import { shardObject, shardOf } from './test-objects.ts';

/** Renewals through time and through crashes. */

export const dayMs = 86_400_000;

/** Lets the broker's clock, and the test's, stand this many days later. */
export const travelDays = (days: number) =>
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + days * dayMs });

/** What a crash between the two blocks of a renewal leaves. */
export async function interrupted(device: FakeDevice) {
  const issuer = await testIssuer();
  const key = await identifyPublicKey(device.publicKey);
  const request = await renewalOf(device, { forced: true });
  const planned = await intentIn(device, (block) =>
    planRenewal(block, request, () => ({
      issuerId: issuer.id,
      ...planCertificate(
        issuer,
        certificateProfiles['1y'],
        device.deviceId ?? '',
        key,
        block.nowMs,
      ),
    })),
  );
  if (!planned.ok) throw new Error(planned.code);
  // The object sees what was written beside it only when it begins anew.
  await evictDurableObject(shardObject(shardOf(device.deviceId)));
  return planned.certificateNumber;
}

export const ringAlarmOf = (device: FakeDevice) => ringAlarm(shardObject(shardOf(device.deviceId)));

/** What an administrator orders who has heard of a theft. */
export const theftOrder = {
  reason: 'keyCompromise',
  actor: { type: 'admin', id: 'adm_1' },
} as const;
