import { globSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { expectTrusted } from './expect-answer.ts';
import { NativeHost } from './native-host.ts';
import { certificateOf, enrollDevice, openTransaction } from './sign-in-attempt.ts';
import type { TestBroker } from './test-broker.ts';

/** Something of every kind that a broker stores, with what is needed to look for it again elsewhere. */
export type BackupWorld = {
  readonly client: TestClient;
  /** Bound to ada. */
  readonly bound: FakeDevice;
  /** Devices with the program that is shipped, one for each import. */
  readonly hosts: readonly NativeHost[];
  /** One machine with three unbound certificates. */
  readonly unbound: readonly FakeDevice[];
  readonly revoked: FakeDevice;
  /** Bound to eve, who is deactivated; and a second, unbound certificate of the same machine, suspended with it. */
  readonly ofEve: FakeDevice;
  readonly suspended: FakeDevice;
  /** Bound to mallory, whose bindings were revoked, and who may sign in again. */
  readonly ofMallory: FakeDevice;
  /** Two certificates of one machine and one lineage; the second has replaced the first. */
  readonly superseded: FakeDevice;
  readonly renewed: FakeDevice;
  /** Has a token that it has not spent. */
  readonly waiting: FakeDevice;
  readonly pendingToken: string;
  /** Of `bound`. */
  readonly spentToken: string;
  /** A sign-in that was decided, and one whose challenge nobody has answered. */
  readonly decidedBody: unknown;
  readonly openBody: unknown;
  /** An intent whose certificate was never signed. */
  readonly intentOf: FakeDevice;
  readonly intentToken: string;
};

async function secondCertificate(broker: TestBroker, device: FakeDevice): Promise<FakeDevice> {
  const second = await FakeDevice.create(device.hardwareId);
  await broker.client.enroll(second);
  return second;
}

async function bodyOf(broker: TestBroker, client: TestClient, device: FakeDevice) {
  const { transaction, challenge } = await openTransaction(broker, client);
  const evidence = await device.evidence(challenge, client.origin);
  return broker.client.evaluationBody(client, { transaction, evidence });
}

/** Runs a statement in every database of a class, of a broker that is stopped. */
export function editDatabases(
  dataDirectory: string,
  uniqueKey: string,
  edit: (database: DatabaseSync) => void,
): void {
  const folder = join(dataDirectory, 'durable-objects', uniqueKey);
  for (const name of globSync('*.sqlite', { cwd: folder })) {
    const database = new DatabaseSync(join(folder, name));
    const known = database
      .prepare("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'")
      .all();
    if (known.length > 0) edit(database);
    database.close();
  }
}

/** The first element of a certificate; both have lengths of two bytes. */
function toBeSignedOf(certificate: Uint8Array): Uint8Array {
  const length = new DataView(certificate.buffer, certificate.byteOffset).getUint16(6);
  return certificate.slice(4, 8 + length);
}

/** Fills a broker, and leaves it stopped. */
export async function fillBroker(broker: TestBroker, hostCount: number): Promise<BackupWorld> {
  const { client: admin } = broker;
  const client = await admin.registerClient();
  await admin.admin('PUT', `/v1/admin/applications/${client.application}/access`, {
    access: { resource_types: [{ type: 'record', actions: ['read'] }], rules: [] },
  });
  await admin.registerClient({ enforcement: 'monitor' });

  const bound = await FakeDevice.create();
  const { enrollment_token: spentToken } = await admin.createEnrollmentToken(bound.hardwareId);
  await admin.enroll(bound, spentToken);
  expectTrusted(await admin.signIn(client, bound));
  const hosts: NativeHost[] = [];
  for (let host = 0; host < hostCount; host++) {
    const installed = await NativeHost.install({ origins: [client.origin] });
    await installed.enroll(broker);
    hosts.push(installed);
  }

  const first = await enrollDevice(broker);
  const unbound = [
    first,
    await secondCertificate(broker, first),
    await secondCertificate(broker, first),
  ];

  const revoked = await enrollDevice(broker);
  expectTrusted(await admin.signIn(client, revoked));
  const { fingerprint_sha256 } = await certificateOf(broker, revoked);
  await admin.revoke(revoked.deviceId ?? '', fingerprint_sha256);

  const ofEve = await enrollDevice(broker);
  expectTrusted(await admin.signIn(client, ofEve, 'eve'));
  const suspended = await secondCertificate(broker, ofEve);
  await admin.putUser('eve', false);
  const ofMallory = await enrollDevice(broker);
  expectTrusted(await admin.signIn(client, ofMallory, 'mallory'));
  await admin.revokeUser('mallory');

  const superseded = await enrollDevice(broker);
  expectTrusted(await admin.signIn(client, superseded));
  const renewed = await secondCertificate(broker, superseded);

  const waiting = await FakeDevice.create();
  const { enrollment_token: pendingToken } = await admin.createEnrollmentToken(waiting.hardwareId);
  const intentOf = await FakeDevice.create();
  const { enrollment_token: intentToken } = await admin.createEnrollmentToken(intentOf.hardwareId);
  await admin.enroll(intentOf, intentToken);

  const decidedBody = await bodyOf(broker, client, bound);
  await admin.sendEvaluation(client, decidedBody);
  const openBody = await bodyOf(broker, client, bound);
  await broker.stop();

  // What no request of this version leaves behind: a renewal, and a signature that a crash has cost.
  editDatabases(broker.dataDirectory, 'countersign-device-v1', (database) => {
    database
      .prepare(
        `UPDATE certificates SET lineage =
           (SELECT MIN(certificate_number) FROM certificates WHERE device_id = ?1)
         WHERE device_id = ?1`,
      )
      .run(superseded.deviceId ?? '');
    database
      .prepare(
        `UPDATE certificates SET status = 'superseded' WHERE device_id = ? AND status = 'bound'`,
      )
      .run(superseded.deviceId ?? '');
    database
      .prepare(
        `UPDATE certificates SET status = 'bound', bound_user = 'ada', bound_epoch = 1
         WHERE device_id = ? AND status = 'issued'`,
      )
      .run(superseded.deviceId ?? '');
    database
      .prepare(
        `UPDATE certificates SET status = 'intent', to_be_signed = ?, certificate = NULL,
           certificate_sha256 = NULL WHERE device_id = ?`,
      )
      .run(toBeSignedOf(intentOf.certificate ?? new Uint8Array()), intentOf.deviceId ?? '');
  });
  // What a crash may leave: a tombstone on its way, and a key not blocked yet whose certificate is revoked.
  editDatabases(broker.dataDirectory, 'countersign-device-v1', (database) => {
    database.prepare("DELETE FROM user_tombstones WHERE user_id = 'eve'").run();
    database.prepare(`UPDATE certificates SET status = 'issued' WHERE status = 'suspended'`).run();
  });
  editDatabases(broker.dataDirectory, 'countersign-key-v1', (database) => {
    database.prepare('UPDATE keys SET blocked = 0 WHERE device_id = ?').run(revoked.deviceId ?? '');
  });
  return {
    client,
    bound,
    hosts,
    unbound,
    revoked,
    ofEve,
    suspended,
    ofMallory,
    superseded,
    renewed,
    waiting,
    pendingToken,
    spentToken,
    decidedBody,
    openBody,
    intentOf,
    intentToken,
  };
}
