// Receipts of decisions: fetched from a broker, verified years later without it, also by other programs.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyReceipt } from '@countersign/admin-cli/verify-receipt';
import { decisionReceipt, decisionReceiptClaims } from '@countersign/policy';
import { packEvidence } from '@countersign/protocol';
import { type EvaluationAnswer, evaluationAnswer } from '@countersign/protocol/evaluation';
import { keySetClaims } from '@countersign/protocol/key-set';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { encodePem } from '@countersign/x509';
import { compactVerify, decodeProtectedHeader, importJWK, importX509 } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AdminDesk } from '../support/admin-command.ts';
import { exportChains } from '../support/exported-log.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let desk: AdminDesk;
let client: TestClient;
let device: FakeDevice;
let rootFile: string;
/** Ids of decisions, by what became of them. */
const decided: Record<'trusted' | 'office' | 'away' | 'unbidden', string> = {
  trusted: '',
  office: '',
  away: '',
  unbidden: '',
};

const rules = {
  enforcement: 'enforce',
  rules: [
    { id: 'managed', when: { device_trust: 'trusted' }, effect: 'allow' },
    { id: 'office', when: { network: { zones: ['office'] } }, effect: 'allow' },
  ],
  otherwise: 'deny',
};

async function put(path: string, body: object): Promise<void> {
  const response = await broker.client.admin('PUT', path, body);
  if (!response.ok) throw new Error(await response.text());
}

/** A sign-in without evidence, from an address. */
async function signInFrom(address: string): Promise<EvaluationAnswer> {
  const transaction = randomText();
  const challenge = await broker.client.challenge(client, transaction);
  const reportedUnavailable = 'extension_not_installed';
  const evidence = packEvidence({ unverifiedChallenge: challenge, reportedUnavailable });
  const body = broker.client.evaluationBody(client, { transaction, evidence, subject: 'bob' });
  const asked = { ...body, context: { ...body.context, ip_address: address } };
  const response = await broker.client.sendEvaluation(client, asked);
  return evaluationAnswer.parse(await response.json());
}

const idOf = ({ context }: EvaluationAnswer) => context.decision_id;

beforeAll(async () => {
  broker = await TestBroker.start();
  desk = new AdminDesk(broker.url, broker.server.ownerToken);
  rootFile = join(broker.dataDirectory, 'certificates', 'root.pem');
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  await put('/v1/admin/zones/office', { name: 'Office', blocks: ['192.0.2.0/24'] });
  await put(`/v1/admin/applications/${client.application}/policy`, { policy: rules });
  decided.trusted = idOf(await broker.client.signIn(client, device));
  decided.office = idOf(await signInFrom('192.0.2.9'));
  decided.away = idOf(await signInFrom('198.51.100.9'));
  const unbidden = { transaction: randomText(), evidence: 'nonsense', subject: 'bob' };
  decided.unbidden = idOf(await broker.client.evaluate(client, unbidden));
  // What comes after a decision must not change what its receipt says.
  await put('/v1/admin/zones/office', { name: 'Elsewhere', blocks: ['198.51.100.0/24'] });
  await put(`/v1/admin/applications/${client.application}/policy`, {
    policy: { ...rules, rules: [], otherwise: 'deny' },
  });
  for (const [name, id] of Object.entries(decided)) {
    await desk.done('decisions', 'receipt', id, desk.file(`${name}.json`));
  }
  await desk.done('audit', 'export', desk.file('log'));
});
afterAll(async () => {
  desk?.remove();
  await broker?.stopAndRemove();
});

const read = (name: string) => decisionReceipt.parse(JSON.parse(desk.read(`${name}.json`)));
const partOf = (jws: string, index: number) =>
  Buffer.from(jws.split('.')[index] ?? '', 'base64url').toString();
const claimsOf = (name: string) =>
  decisionReceiptClaims.parse(JSON.parse(partOf(read(name).receipt, 1)));

describe('what a receipt says', () => {
  it('is the row as it is in the chain, with the rule and what it saw', async () => {
    const { row, policy, criteria } = claimsOf('office');
    const chains = await exportChains(broker.client, broker.shardCount);
    const rows = chains.find(({ name }) => name === row.chain)?.rows ?? [];
    expect(rows.find(({ sequence }) => sequence === row.sequence)).toEqual({
      sequence: row.sequence,
      record: row.record,
      hash: row.hash,
    });
    const before = rows.find(({ sequence }) => sequence === row.sequence - 1)?.hash;
    expect(row.previous_hash).toBe(before ?? Buffer.alloc(32).toString('base64url'));
    expect(policy?.document.rules.map(({ id }) => id)).toEqual(['managed', 'office']);
    expect(criteria).toEqual([
      {
        criterion: 'network',
        verdict: 'met',
        wanted: 'in office',
        seen: '192.0.2.9, in office',
      },
    ]);
  });

  it('is the networks as they were, whatever they are now', () => {
    expect(claimsOf('office').policy?.zones).toEqual([
      { zone_id: 'office', name: 'Office', on_network: false, blocks: ['192.0.2.0/24'] },
    ]);
  });

  it('has no policy where none was asked', () => {
    expect(claimsOf('unbidden').policy).toBeUndefined();
  });
});

describe('countersign-admin verify-receipt', () => {
  const ask = (name: string, ...more: string[]) =>
    desk.run('verify-receipt', desk.file(`${name}.json`), '--root', rootFile, ...more);

  it.each([
    ['trusted', /outcome +allowed, trusted_device/],
    ['office', /rule +office[\s\S]*192\.0\.2\.9, in office/],
    ['away', /outcome +denied, extension_not_installed/],
    [
      'away',
      /managed +not_met +device_trust +not_met +trusted +not trusted: extension_not_installed/,
    ],
  ])('decides once more as it was decided: %s', async (name, told) => {
    const { code, output } = await ask(name);
    expect(output).toMatch(told);
    expect(output).toContain('Computed again, the policy decides alike.');
    expect(code).toBe(0);
  });

  it('says where no policy was asked', async () => {
    const { code, output } = await ask('unbidden');
    expect([code, output]).toEqual([0, expect.stringContaining('No policy was asked')]);
  });

  it('finds the row in a log that was exported, and one that is not there', async () => {
    const { code, output } = await ask('trusted', '--folder', desk.file('log'));
    expect([code, output]).toEqual([0, expect.stringContaining('has this very row')]);
    const { chain, sequence } = claimsOf('away').row;
    const file = desk.file(`log/chain-${chain}.jsonl`);
    const kept = readFileSync(file, 'utf8').split('\n');
    const changed = kept.map((line) =>
      line.startsWith(`{"sequence":${sequence},`) ? line.replace('bob', 'eve') : line,
    );
    expect(changed).not.toEqual(kept);
    desk.write(`log/chain-${chain}.jsonl`, changed.join('\n'));
    expect(await ask('away', '--folder', desk.file('log'))).toMatchObject({
      code: 1,
      output: expect.stringContaining('another row in its place'),
    });
    desk.write(`log/chain-${chain}.jsonl`, kept.slice(0, sequence - 1).join('\n'));
    expect(await ask('away', '--folder', desk.file('log'))).toMatchObject({
      code: 1,
      output: expect.stringContaining('does not have this row'),
    });
    desk.write(`log/chain-${chain}.jsonl`, kept.join('\n'));
  });

  it('refuses another root, and a file that was changed, with exit code 1', async () => {
    const issuer = join(broker.dataDirectory, 'certificates', 'issuer.pem');
    const foreign = await desk.run(
      ...['verify-receipt', desk.file('trusted.json'), '--root', issuer],
    );
    expect(foreign).toMatchObject({ code: 1 });
    expect(foreign.output).toContain('proves nothing: key_set_signer_untrusted');
    const { receipt, key_set } = read('trusted');
    const claims = partOf(receipt, 1).replace('"ada', '"eve').replace('\\"ada', '\\"eve');
    const [first, , last] = receipt.split('.');
    const forged = [first, Buffer.from(claims).toString('base64url'), last].join('.');
    desk.write('forged.json', { receipt: forged, key_set });
    expect(await ask('forged')).toMatchObject({
      code: 1,
      output: expect.stringContaining('receipt_signature_invalid'),
    });
    expect(await desk.run('verify-receipt', desk.file('trusted.json'))).toMatchObject({ code: 2 });
  });
});

describe('other programs', () => {
  it('jose follows the signatures from the root to the receipt', async () => {
    const { receipt, key_set } = read('trusted');
    const [signer = ''] = decodeProtectedHeader(key_set).x5c ?? [];
    const pem = `-----BEGIN CERTIFICATE-----\n${signer}\n-----END CERTIFICATE-----`;
    const keySet = await compactVerify(key_set, await importX509(pem, 'ES256'));
    const { audit_keys = [] } = keySetClaims.parse(
      JSON.parse(new TextDecoder().decode(keySet.payload)),
    );
    const { kid, typ, alg } = decodeProtectedHeader(receipt);
    expect({ typ, alg }).toEqual({ typ: 'decision-receipt+jwt', alg: 'ES256' });
    const jwk = audit_keys.find((key) => key.kid === kid);
    if (jwk === undefined) throw new Error('the key set does not name the key');
    const verified = await compactVerify(receipt, await importJWK(jwk, 'ES256'));
    expect(
      decisionReceiptClaims.parse(JSON.parse(new TextDecoder().decode(verified.payload))),
    ).toEqual(claimsOf('trusted'));
  });

  it('openssl follows the same way, and computes the hash of the row', () => {
    const { receipt, key_set } = read('trusted');
    const openssl = (args: readonly string[], input?: Buffer) =>
      execFileSync('openssl', args, { input, timeout: 10_000, stdio: ['pipe', 'pipe', 'pipe'] });
    const [signer = ''] = decodeProtectedHeader(key_set).x5c ?? [];
    desk.write('signer.pem', encodePem('CERTIFICATE', Buffer.from(signer, 'base64')));
    const purpose = ['-purpose', 'any', '-CAfile', rootFile];
    expect(openssl(['verify', ...purpose, desk.file('signer.pem')]).toString()).toContain('OK');
    const signerKey = openssl(['x509', '-in', desk.file('signer.pem'), '-pubkey', '-noout']);
    const { audit_keys: [jwk] = [] } = keySetClaims.parse(JSON.parse(partOf(key_set, 1)));
    const point = Buffer.concat([
      Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex'),
      Buffer.from(jwk?.x ?? '', 'base64url'),
      Buffer.from(jwk?.y ?? '', 'base64url'),
    ]);
    const auditKey = openssl(['pkey', '-pubin', '-inform', 'DER'], point);
    for (const [jws, key] of [
      [key_set, signerKey],
      [receipt, auditKey],
    ] as const) {
      const raw = Buffer.from(jws.split('.')[2] ?? '', 'base64url');
      const number = (bytes: Buffer) => bytes.toString('hex');
      desk.write(
        'signature.cnf',
        `asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x${number(raw.subarray(0, 32))}\ns=INTEGER:0x${number(raw.subarray(32))}\n`,
      );
      const generate = ['-genconf', desk.file('signature.cnf'), '-noout'];
      openssl(['asn1parse', ...generate, '-out', desk.file('signature.der')]);
      desk.write('key.pem', key.toString());
      const input = Buffer.from(jws.slice(0, jws.lastIndexOf('.')));
      const check = ['-verify', desk.file('key.pem'), '-signature', desk.file('signature.der')];
      expect(openssl(['dgst', '-sha256', ...check], input).toString()).toBe('Verified OK\n');
    }
    const { row } = claimsOf('trusted');
    const hashed = Buffer.concat([
      Buffer.from(row.previous_hash, 'base64url'),
      Buffer.from(row.record),
    ]);
    const digest = openssl(['dgst', '-sha256', '-binary'], hashed);
    expect(digest.toString('base64url')).toBe(row.hash);
  });
});

describe('the broker refuses', () => {
  const ask = (id: string) =>
    broker.client.admin('GET', `/v1/admin/decisions/${encodeURIComponent(id)}/receipt`);

  it.each(['', '3', 'x.1', '3.0', '3.-1', '03.1.', '3.1.1.1', `${'E'.repeat(21)}.3.1`, '../3.1'])(
    'what names no row: %j',
    async (id) => {
      const response = await ask(id);
      expect([400, 404]).toContain(response.status);
      if (response.status === 400) {
        expect(await response.json()).toMatchObject({ code: 'field_invalid', field: 'id' });
      }
    },
  );

  it.each(['9999.1', '0.999999', `${'E'.repeat(22)}.0.1`])(
    'a row that is not there: %s',
    async (id) => {
      const response = await ask(id);
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ code: 'decision_not_found' });
    },
  );

  it('an event, which is no decision', async () => {
    const chains = await exportChains(broker.client, broker.shardCount);
    const [event] = chains.flatMap(({ name, rows }) =>
      rows
        .filter(({ record }) => name !== 'organization' && record.includes('"kind":"event"'))
        .map(({ sequence }) => `${name}.${sequence}`),
    );
    expect((await ask(event ?? '')).status).toBe(404);
  });
});

it('is verified when the broker is gone', async () => {
  await broker.stop();
  const asked = {
    text: desk.read('trusted.json'),
    rootPem: readFileSync(rootFile, 'utf8'),
    nowMs: Date.now() + 20 * 365 * 86_400_000,
  };
  expect(await verifyReceipt(asked)).toMatchObject({ ok: true, replay: { kind: 'same' } });
  await broker.startAgain();
});
