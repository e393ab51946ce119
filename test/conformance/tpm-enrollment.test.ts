// The `countersign` program as it is shipped, with its key in a software TPM, against the real broker.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FileKeyStores, type TpmIdentity } from '@countersign/native-host';
import {
  type IntegrationRequest,
  integrationSecretAnswer,
} from '@countersign/protocol/admin-integrations';
import { attestationAnswer } from '@countersign/protocol/attestation';
import type { TestClient } from '@countersign/testkit/broker-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  attestationRequestOf,
  certifyIn,
  identityOf,
  requestOf,
  type SerialNumber,
  text,
} from '../support/attested-key.ts';
import { expectTrusted } from '../support/expect-answer.ts';
import { NativeHost } from '../support/native-host.ts';
import { evidenceOf, openTransaction } from '../support/sign-in-attempt.ts';
import { type SoftwareTpm, TpmMaker } from '../support/software-tpm.ts';
import { TestBroker } from '../support/test-broker.ts';

const origin = 'https://sso.example.com';
let broker: TestBroker;
let client: TestClient;
let maker: TpmMaker;
let tpm: SoftwareTpm;
let otherTpm: SoftwareTpm;
/** Takes the TPMs of the maker that are on its list. */
let listed: string;
let organizationSecret: string;
/** Takes any TPM of the maker, with the organization secret. */
let withSecret: string;

/** What the broker says the endorsement key's SHA-256 is, which an administrator would put on the list. */
async function keySha256(of: SoftwareTpm): Promise<string> {
  const answer = await begin(await identityOf(of), listed);
  const { code, detail } = await answer.json();
  expect(code).toBe('endorsement_key_not_allowed');
  return String(detail).split(' ').at(-1) ?? '';
}

async function admin(method: string, path: string, body: unknown, expected: number) {
  const answer = await broker.client.admin(method, path, body);
  if (answer.status !== expected) throw new Error(`${path}: ${await answer.text()}`);
  return answer;
}

async function createIntegration(attestation: IntegrationRequest['attestation']) {
  const input: IntegrationRequest = {
    name: 'Laptops with a TPM',
    connection: { kind: 'inventory_file' },
    authority: 'hardware_attested',
    ...(attestation === undefined ? {} : { attestation }),
  };
  const answer = await admin('POST', '/v1/admin/integrations', input, 201);
  const created = integrationSecretAnswer.parse(await answer.json());
  const id = created.integration.integration_id;
  const state = { state: { mode: 'all_users' } };
  await admin('PUT', `/v1/admin/integrations/${id}/state`, state, 200);
  return { id, input, secret: created.organization_secret };
}

const devices: string[] = [];

/** The whole inventory anew, with one more device. */
async function takeIn(serialNumber: string): Promise<void> {
  devices.push(serialNumber);
  const ownerToken = readFileSync(join(broker.dataDirectory, 'owner-token'), 'utf8').trim();
  for (const id of [listed, withSecret]) {
    const answer = await broker.client.request(`/v1/admin/integrations/${id}/inventory`, {
      method: 'PUT',
      headers: { Authorization: `Bearer ${ownerToken}`, 'Content-Type': 'text/csv' },
      body: `serial_number\n${devices.join('\n')}\n`,
    });
    expect(answer.status, await answer.text()).toBe(200);
  }
}

beforeAll(async () => {
  [broker, maker] = [await TestBroker.start(), new TpmMaker()];
  client = await broker.client.registerClient({ origin });
  [tpm, otherTpm] = [await maker.make(), await maker.make()];
  const roots_pem = [maker.issuerPem];
  const created = await createIntegration({
    roots_pem,
    endorsement_keys: 'listed',
    listed_sha256: [],
  });
  listed = created.id;
  const anyTpm = { roots_pem, endorsement_keys: 'any_with_secret' as const, listed_sha256: [] };
  ({ id: withSecret, secret: organizationSecret } = await createIntegration(anyTpm));
  await admin(
    'PUT',
    `/v1/admin/integrations/${listed}`,
    {
      ...created.input,
      attestation: {
        roots_pem,
        endorsement_keys: 'listed',
        listed_sha256: [await keySha256(tpm), await keySha256(otherTpm)],
      },
    },
    200,
  );
});
afterAll(async () => {
  await broker?.stopAndRemove();
  await maker?.remove();
});

let host: NativeHost;
beforeEach(async () => {
  host = await NativeHost.install();
});
afterEach(() => host.remove());

async function enroll(attestTo: string, of = tpm, input = '', more: readonly string[] = []) {
  host.configure({ keystore: { ...of.keystore, attest_to: attestTo } });
  const result = await host.command(['enroll', '--broker', broker.url, ...more], {
    ...(input === '' ? {} : { environment: { COUNTERSIGN_ENROLLMENT_TOKEN: input } }),
  });
  return { ...result, output: result.output.toString() };
}

/** First step, by hand. */
function begin(
  identity: TpmIdentity,
  integrationId: string,
  hardwareId: SerialNumber = { serial_number: 'TPM-BY-HAND' },
  changes: Readonly<Record<string, unknown>> = {},
) {
  const request = attestationRequestOf(identity, integrationId, hardwareId);
  return broker.client.post('/v1/attestations', { ...request, ...changes });
}

async function begun(identity: TpmIdentity, hardwareId: SerialNumber) {
  const answer = await begin(identity, listed, hardwareId);
  if (answer.status !== 200) throw new Error(await answer.text());
  return attestationAnswer.parse(await answer.json());
}

/** Both steps, with a key of the test's own. */
async function attested(of: SoftwareTpm, hardwareId: SerialNumber, otherCsr?: Uint8Array) {
  const identity = await identityOf(of);
  const folder = join(host.folder, `keys-${of.port}`);
  const made = await certifyIn(of, folder, identity, await begun(identity, hardwareId), otherCsr);
  if (!made.ok) throw new Error(made.detail);
  const { authority, csr } = made;
  return { authority, csr };
}

const softwareRequest = () => requestOf(new FileKeyStores(join(host.folder, 'software')).open());

async function refusalOf(
  body: { readonly authority: Readonly<Record<string, unknown>>; readonly csr: string },
  hardwareId: SerialNumber,
): Promise<unknown> {
  const answer = await broker.client.post('/v1/enrollments', { ...body, hardware_id: hardwareId });
  const { code } = await answer.json();
  return code ?? answer.status;
}

/** Objects that take up room in the TPM, and those that stay in it for good. */
function objectsIn(of: SoftwareTpm): string {
  const list = (what: string) => of.tool('tpm2_getcap', [what], host.folder).toString();
  return list('handles-transient') + list('handles-loaded-session') + list('handles-persistent');
}

describe('a device with its key in a TPM', () => {
  it('enrolls by an attestation, signs in, and leaves nothing in the TPM', async () => {
    await takeIn(host.hardwareId.serial_number);
    const before = objectsIn(tpm);
    const { exitCode, output, errors } = await enroll(listed);
    expect(exitCode, errors).toBe(0);
    expect(output).toContain('kept as: tpm');
    expect(output).toContain('the TPM has certified the key');
    const { transaction, challenge } = await openTransaction(broker, client);
    const answer = await host.attest(challenge, origin);
    if (answer.type !== 'attest') throw new Error(JSON.stringify(answer));
    const evidence = evidenceOf(challenge, answer.response);
    expectTrusted(await broker.client.evaluate(client, { transaction, evidence }));

    const status = await host.command(['status', '--json']);
    const shown = JSON.parse(status.output.toString());
    expect(shown).toMatchObject({ enrolled: true, key_protection: 'tpm' });
    const { certificates } = await broker.client.device(shown.device_id);
    expect(certificates).toMatchObject([{ enrollment_strength: 'hardware_attested' }]);
    expect(objectsIn(tpm)).toBe(before);
    expect(await host.command(['renew'])).toMatchObject({ exitCode: 0 });
    const names = Object.keys(host.stateFiles()).sort();
    expect(names).toEqual(['enrollment.json', 'key-set.json', 'posture.json', 'tpm-key.json']);
  });

  it('goes on with its TPM and key alone: not with another, not without', async () => {
    await takeIn(host.hardwareId.serial_number);
    expect(await enroll(withSecret, otherTpm, organizationSecret)).toMatchObject({ exitCode: 0 });
    const before = host.stateFiles()['enrollment.json'];
    // The new key could be anywhere.
    const rekeyed = await host.command(['renew', '--rekey']);
    expect(rekeyed.errors).toContain('renewal_needs_attestation');
    expect(host.stateFiles()['enrollment.json']).toBe(before);
    const statusWith = async (keystore: object) => {
      host.configure({ keystore });
      return (await host.command(['status'])).output.toString();
    };
    expect(await statusWith(otherTpm.keystore)).toContain('usable; kept as: tpm');
    expect(await statusWith(tpm.keystore)).toContain('holds a key of another TPM');
    const nowhere = { kind: 'tpm', device: join(host.folder, 'tpm0') };
    expect(await statusWith(nowhere)).toContain('keystore_tpm_missing');
  });

  it('needs the organization secret beside it where the integration takes any TPM', async () => {
    await takeIn(host.hardwareId.serial_number);
    const refused = await enroll(withSecret);
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.errors).toContain('enrollment_proof_invalid');
  });

  it('#34 is one device with one TPM: neither may be exchanged', async () => {
    await takeIn(host.hardwareId.serial_number);
    // A TPM of this test alone.
    const own = await maker.make();
    const enrollOwn = (more: readonly string[] = []) =>
      enroll(withSecret, own, organizationSecret, more);
    expect(await enrollOwn()).toMatchObject({ exitCode: 0 });
    expect(await enrollOwn(['--replace'])).toMatchObject({ exitCode: 0 });
    const otherDevice = await NativeHost.install();
    try {
      await takeIn(otherDevice.hardwareId.serial_number);
      const hardware_id = otherDevice.hardwareId;
      host.configure({ hardware_id, keystore: { ...own.keystore, attest_to: withSecret } });
      const args = ['enroll', '--broker', broker.url, '--replace'];
      const environment = { COUNTERSIGN_ENROLLMENT_TOKEN: organizationSecret };
      const refused = await host.command(args, { environment });
      expect(refused.errors).toContain('endorsement_key_of_other_device');
      const otherTpmRefused = await enroll(withSecret, otherTpm, organizationSecret, ['--replace']);
      expect(otherTpmRefused.errors).toContain('hardware_id_duplicate');
    } finally {
      otherDevice.remove();
    }
  });
});

describe('refused by the broker', () => {
  const hardwareId = { serial_number: 'TPM-ATTACKED' };

  it('#34 a TPM of another maker', async () => {
    const stranger = new TpmMaker();
    try {
      const answer = await begin(await identityOf(await stranger.make()), listed, hardwareId);
      expect(answer.status).toBe(403);
      expect(await answer.json()).toMatchObject({ code: 'endorsement_certificate_untrusted' });
    } finally {
      await stranger.remove();
    }
  });

  it('#34 a credential for another attestation key: the TPM itself does not open it', async () => {
    const [mine, other] = [await identityOf(tpm), await identityOf(tpm)];
    const answer = await begun(other, hardwareId);
    const made = await certifyIn(tpm, join(host.folder, 'keys'), mine, answer);
    expect(made).toMatchObject({ ok: false, reason: 'keystore_tpm_failed' });
    expect(!made.ok && made.detail).toContain('ActivateCredential');
  });

  it('#34 what is right in itself and does not belong together', async () => {
    const one = await attested(tpm, hardwareId);
    const other = await attested(otherTpm, hardwareId);
    const { authority, csr } = one;
    const refusals = {
      attestation_wrong_device: [one, { serial_number: 'TPM-ANOTHER-DEVICE' }],
      attestation_secret_wrong: [
        { authority: { ...authority, secret: other.authority.secret }, csr },
        hardwareId,
      ],
      attestation_signature_invalid: [
        {
          authority: {
            ...authority,
            certify_info: other.authority.certify_info,
            certify_signature: other.authority.certify_signature,
          },
          csr,
        },
        hardwareId,
      ],
      attestation_wrong_request: [{ authority, csr: text(await softwareRequest()) }, hardwareId],
      attestation_malformed: [
        { authority: { ...authority, certify_info: text(randomBytes(90)) }, csr },
        hardwareId,
      ],
      attestation_invalid: [
        { authority: { ...authority, attestation: 'a..b.c.d' }, csr },
        hardwareId,
      ],
      attested_key_mismatch: [
        { authority: { ...authority, key_public: other.authority.key_public }, csr },
        hardwareId,
      ],
    } as const;
    for (const [code, [body, id]] of Object.entries(refusals)) {
      expect(await refusalOf(body, id)).toBe(code);
    }
  });

  it('#34 a software key that an attestation of another key comes with', async () => {
    // The TPM certifies its own key for a request that holds another one.
    const mixed = await attested(tpm, hardwareId, await softwareRequest());
    expect(await refusalOf(mixed, hardwareId)).toBe('attested_key_mismatch');
  });

  it.each([
    ['an integration that does not exist', `int_${'A'.repeat(22)}`, {}, 'enrollment_not_allowed'],
    [
      'a hardware id of many',
      undefined,
      { hardware_id: { serial_number: 'None' } },
      'hardware_id_placeholder',
    ],
    [
      'no certificate',
      undefined,
      { endorsement_certificate: 'AAAA' },
      'endorsement_certificate_malformed',
    ],
    [
      'no attestation key',
      undefined,
      { attestation_public: 'AAAA' },
      'attestation_key_not_allowed',
    ],
    ['a member that is not known', undefined, { more: 1 }, 'field_invalid'],
    [
      'five intermediates',
      undefined,
      { intermediate_certificates: Array(5).fill('AAAA') },
      'field_invalid',
    ],
  ])('a first step with %s', async (_, integrationId, changes, code) => {
    const answer = await begin(await identityOf(tpm), integrationId ?? listed, hardwareId, changes);
    expect(await answer.json()).toMatchObject({ code });
  });
});
