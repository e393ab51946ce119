import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  answerChallenge,
  enroll,
  FileKeyStore,
  hostVersion,
  readEnrollment,
  readPosture,
  readStoredKeySet,
} from '@countersign/native-host';
import type { UnavailableCode } from '@countersign/protocol';
import type { TestBroker } from './test-broker.ts';

export type NativeDevice = {
  readonly deviceId: string;
  /** What the host answers when the browser reports this origin. */
  answer(
    challenge: string,
    origin: string,
  ): Promise<{ ok: true; response: string } | { ok: false; code: UnavailableCode }>;
  remove(): void;
};

/** A device with the code of the native host, in this process: enrolled over HTTP, with its key in a file. */
export async function enrollNativeDevice(
  broker: TestBroker,
  serialNumber: string,
  allowedOrigins: readonly string[],
): Promise<NativeDevice> {
  const stateDirectory = join(mkdtempSync(join(tmpdir(), 'countersign-device-')), 'state');
  const hardwareId = { serial_number: serialNumber };
  const nowSeconds = () => Math.floor(Date.now() / 1000);
  const enrolled = await enroll({
    brokerUrl: broker.url,
    hardwareId,
    stateDirectory,
    readEnrollmentToken: async () => {
      const { enrollment_token } = await broker.client.createEnrollmentToken(hardwareId);
      return { ok: true, value: enrollment_token };
    },
    nowSeconds: nowSeconds(),
  });
  if (!enrolled.ok) throw new Error(`enrollment: ${enrolled.reason} ${enrolled.detail}`);
  const enrollment = readEnrollment(stateDirectory);
  if (!enrollment.ok || enrollment.value === undefined) throw new Error('no enrollment was kept');
  const device = {
    enrollment: enrollment.value,
    allowedOrigins,
    keyStore: new FileKeyStore(stateDirectory),
    facts: { hostVersion, development: true, posture: readPosture() },
    keys: readStoredKeySet(stateDirectory, enrollment.value)?.claims.keys ?? [],
    refreshKeys: async () => ({ ok: false, reason: 'broker_unreachable', detail: '' }) as const,
  };
  return {
    deviceId: enrolled.value.deviceId,
    async answer(challenge, origin) {
      const answer = await answerChallenge({ challenge, origin }, device, nowSeconds());
      return answer.ok ? { ok: true, response: answer.value } : { ok: false, code: answer.reason };
    },
    remove: () => rmSync(join(stateDirectory, '..'), { recursive: true }),
  };
}
