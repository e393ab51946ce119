import { integrationSecretAnswer } from '@countersign/protocol/admin-integrations';
import { problemDocument } from '@countersign/protocol/problem';
import { expect, it } from 'vitest';
import { broker } from './test-broker.ts';
import { issued } from './test-issuance.ts';

// A certificate whose key a TPM has vouched for is renewed for as long as that TPM is one that the integration takes.

const keySha256 = (octet: number) => new Uint8Array(32).fill(octet);
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

const settings = (listed: readonly Uint8Array[], authority = 'hardware_attested') => ({
  name: 'attested',
  connection: { kind: 'inventory_file' },
  authority,
  attestation: {
    roots_pem: [],
    endorsement_keys: 'listed',
    listed_sha256: listed.map(textOf),
  },
});

it('is refused to a TPM that was taken off the list', async () => {
  const [first, second] = [keySha256(1), keySha256(2)];
  const created = await broker.admin('POST', '/v1/admin/integrations', settings([first, second]));
  const { integration } = integrationSecretAnswer.parse(await created.json());
  const id = integration.integration_id;
  const attested = (endorsementKeySha256: Uint8Array) =>
    issued({
      authority: { type: 'hardware_attested', endorsementKeySha256 },
      strength: 'hardware_attested',
      integrationId: id,
    });
  const [kept, removed] = [await attested(first), await attested(second)];
  const renewal = async (device: typeof kept) => {
    const answer = await broker.sendRenewal(device);
    return answer.ok ? 'renewed' : problemDocument.parse(await answer.json()).code;
  };
  expect([await renewal(kept), await renewal(removed)]).toEqual(['renewed', 'renewed']);

  const change = (changes: ReturnType<typeof settings>) =>
    broker.admin('PUT', `/v1/admin/integrations/${id}`, changes);
  expect((await change(settings([first]))).status).toBe(200);
  expect([await renewal(kept), await renewal(removed)]).toEqual([
    'renewed',
    'endorsement_key_not_allowed',
  ]);

  // An integration that enrolls in another way now has no list to be on.
  expect((await change(settings([], 'one_time_token'))).status).toBe(200);
  expect(await renewal(removed)).toBe('renewed');
});
