// The challenges of device managements: Jamf Pro's, which the broker gives out, and Intune's, which Intune judges.
import { type FakeIntune, startFakeIntune } from '@countersign/testkit/fake-intune';
import { type FakeJamfPro, startFakeJamfPro } from '@countersign/testkit/fake-jamf-pro';
import { makeScepIdentity, type ScepIdentity } from '@countersign/testkit/fake-scep-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CreatedIntegration,
  createIntegration,
  newSerialNumber,
  startManagedBroker,
} from '../support/managed-world.ts';
import { ScepWorld } from '../support/scep-world.ts';
import type { TestBroker } from '../support/test-broker.ts';

let jamf: FakeJamfPro;
let intune: FakeIntune;
let broker: TestBroker;
let stop: () => Promise<void>;
/** Keys take a while to make. */
let identities: ScepIdentity[];

beforeAll(async () => {
  jamf = await startFakeJamfPro();
  intune = await startFakeIntune();
  ({ broker, stop } = await startManagedBroker(jamf.certificatePem));
  identities = Array.from({ length: 3 }, () => makeScepIdentity());
});
afterAll(async () => {
  await stop?.();
  await Promise.all([jamf?.stop(), intune?.stop()]);
});

const refused = { status: '2', failInfo: '2', certificate: undefined };

describe('#33 a challenge of Jamf Pro', () => {
  let integration: CreatedIntegration;
  let world: ScepWorld;

  beforeAll(async () => {
    integration = await createIntegration(broker, {
      connection: {
        kind: 'jamf_pro',
        tenant_url: jamf.url,
        authentication: { method: 'client_credentials', client_id: jamf.clientId },
      },
      credentials: { secret: jamf.clientSecret },
      scep: { enabled: true },
    });
    world = await ScepWorld.of(broker, integration.id);
  });

  function addComputer(): string {
    const serialNumber = newSerialNumber();
    const udid = crypto.randomUUID().toUpperCase();
    const lastContactMs = Date.now();
    jamf.computers.set(serialNumber, { serialNumber, udid, managed: true, lastContactMs });
    return serialNumber;
  }

  async function askChallenge(device?: { readonly serialNumber: string }): Promise<string> {
    const answer = await jamf.sendWebhook(
      `${integration.webhookUrl}/jamf-webhook`,
      'SCEPChallenge',
      {
        scepServerUrl: world.url,
        payloadIdentifier: crypto.randomUUID(),
        payloadTypes: ['com.apple.security.scep'],
        ...(device === undefined ? {} : { device }),
      },
      {
        Authorization: `Basic ${btoa(`jamf:${integration.webhookSecret}`)}`,
      },
    );
    if (!answer.ok) throw new Error(await answer.text());
    return await answer.text();
  }

  const [first, second] = [() => identityAt(0), () => identityAt(1)];

  it('is good for the computer that it names, and for one key', async () => {
    const [serialNumber, other] = [addComputer(), addComputer()];
    const challenge = await askChallenge({ serialNumber });
    expect(await world.send(second(), { challenge, serialNumber: other })).toMatchObject(refused);
    const enrolled = await world.send(first(), { challenge });
    expect(enrolled).toMatchObject({ status: '0', failInfo: undefined });
    expect(await world.send(second(), { challenge, serialNumber })).toMatchObject(refused);
  });

  it('that names none is good for a computer that Jamf Pro manages, and for no other', async () => {
    const serialNumber = addComputer();
    const challenge = await askChallenge();
    const unknown = await world.send(second(), { challenge, serialNumber: newSerialNumber() });
    expect(unknown.status).toBe('2');
    // Spent by the key that came with it, whatever came of that.
    expect(await world.send(first(), { challenge, serialNumber })).toMatchObject(refused);
    const another = { challenge: await askChallenge(), serialNumber };
    expect(await world.send(second(), another)).toMatchObject({ status: '0' });
  });

  it('is of no use once Jamf Pro has given the computer up', async () => {
    const serialNumber = addComputer();
    const challenge = await askChallenge({ serialNumber });
    const computer = jamf.computers.get(serialNumber);
    if (computer !== undefined) computer.managed = false;
    const answer = await world.send(identityAt(2), { challenge, serialNumber });
    expect(answer).toMatchObject(refused);
    expect(answer.failInfoText).toContain('manage');
  });
});

function identityAt(at: number): ScepIdentity {
  const identity = identities[at];
  if (identity === undefined) throw new Error('there are only a few');
  return identity;
}

describe('#33 a challenge of Intune', () => {
  let world: ScepWorld;

  beforeAll(async () => {
    const { id } = await createIntegration(broker, {
      connection: {
        kind: 'intune',
        tenant_id: intune.tenantId,
        client_id: intune.clientId,
        login_url: intune.url,
        graph_url: intune.url,
        management_url: intune.url,
      },
      credentials: { secret: intune.clientSecret },
      scep: { enabled: true },
    });
    world = await ScepWorld.of(broker, id);
  });

  function addDevice(): string {
    const serialNumber = newSerialNumber();
    const device = { serialNumber, managementState: 'managed', lastSyncMs: Date.now() };
    intune.devices.set(serialNumber, device);
    return serialNumber;
  }

  it('is put to Intune with the request, which learns of the certificate before the client does', async () => {
    const serialNumber = addDevice();
    const transactionId = `valid-${serialNumber}`;
    intune.validTransactions.add(transactionId);
    const identity = makeScepIdentity();
    const names = { challenge: 'made by Intune', serialNumber };
    const enrolled = await world.send(identity, names, { transactionId });
    expect(enrolled.status).toBe('0');
    expect(intune.notifications).toMatchObject([
      { action: 'successNotification', body: { transactionId } },
    ]);
  });

  it('that Intune refuses is refused, and so is any while Intune is away', async () => {
    const serialNumber = addDevice();
    const identity = makeScepIdentity();
    const names = { challenge: 'made by somebody', serialNumber };
    intune.validationCode = 'ChallengeExpired';
    expect(await world.send(identity, names)).toMatchObject(refused);
    const transactionId = `valid-${serialNumber}`;
    intune.validTransactions.add(transactionId);
    intune.setFault({ kind: 'failing' });
    try {
      expect(await world.send(identity, names, { transactionId })).toMatchObject(refused);
    } finally {
      intune.setFault(undefined);
    }
    // Lines of the log come through a pipe, behind the answer.
    await expect
      .poll(() => broker.logLines.join(''), { timeout: 5_000 })
      .toContain('ChallengeExpired');
  });
});
