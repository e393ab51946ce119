import { createHash } from 'node:crypto';
import { CompactSign, calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ExportedRow } from './check-chain.ts';
import { describeFinding } from './finding.ts';
import type { CheckpointKeys } from './read-checkpoints.ts';
import { type AuditInput, type ExportedChain, verifyAudit } from './verify-audit.ts';

const issuer = 'https://broker.example.com';
const exportId = 'E'.repeat(22);
const sha256 = (...parts: (Buffer | string)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

function chainOf(
  name: string,
  shard: number | 'organization',
  count: number,
  start?: string,
  salt = '',
): ExportedChain & { rows: ExportedRow[]; head: { count: number; hash: string } } {
  let previous = start === undefined ? Buffer.alloc(32) : sha256(start);
  const rows = Array.from({ length: count }, (_, index): ExportedRow => {
    const record = JSON.stringify({ event: `${name}${salt}${index}`, sequence: index + 1, shard });
    previous = sha256(previous, record);
    return { sequence: index + 1, record, hash: previous.toString('base64url') };
  });
  return { name, start, rows, head: { count, hash: previous.toString('base64url') } };
}

let privateKey: CryptoKey;
let keys: CheckpointKeys;

beforeAll(async () => {
  const pair = await generateKeyPair('ES256', { extractable: true });
  privateKey = pair.privateKey;
  const { x = '', y = '' } = await exportJWK(pair.publicKey);
  const jwk = { kty: 'EC', crv: 'P-256', x, y } as const;
  keys = [{ ...jwk, kid: await calculateJwkThumbprint(jwk), purpose: 'audit' }];
});

type Entry = { chain: string; count: number; hash: string; began_with?: string };

async function checkpointOf(
  entries: readonly Entry[],
  { typ = 'audit-checkpoint+jwt', iss = issuer, iat = 1000 } = {},
): Promise<string> {
  return await new CompactSign(Buffer.from(JSON.stringify({ iss, iat, chains: entries })))
    .setProtectedHeader({ alg: 'ES256', typ, kid: keys[0]?.kid ?? '' })
    .sign(privateKey);
}

const entryAt = (
  chain: ReturnType<typeof chainOf>,
  count: number,
  changes: Partial<Entry> = {},
): Entry => ({
  chain: chain.name,
  count,
  hash: chain.rows[count - 1]?.hash ?? '',
  ...changes,
});

const verify = (input: Partial<AuditInput>) =>
  verifyAudit({ chains: [], checkpoints: [], keys, issuer, ...input });
const findingsOf = async (input: Partial<AuditInput>) =>
  (await verify(input)).findings.map(describeFinding);

const length = 8;
const chain = () => chainOf('3', 3, length);

describe('verifyAudit', () => {
  it('finds nothing in a log that is whole, and says how far checkpoints cover it', async () => {
    const whole = chain();
    const organization = chainOf('organization', 'organization', 3);
    const checkpoints = [
      await checkpointOf([entryAt(whole, 4)], { iat: 1000 }),
      await checkpointOf([entryAt(whole, 6), entryAt(organization, 3)], { iat: 2000 }),
    ];
    expect(
      await verify({ chains: [whole, organization, chainOf('0', 0, 0)], checkpoints }),
    ).toEqual({
      ok: true,
      chains: [
        { name: '3', rows: 8, coveredThrough: 6 },
        { name: 'organization', rows: 3, coveredThrough: 3 },
        { name: '0', rows: 0, coveredThrough: 0 },
      ],
      checkpoints: { verified: 2, newestAtSeconds: 2000 },
      findings: [],
    });
  });

  it('takes rows as they come', async () => {
    const whole = chain();
    async function* rows() {
      yield* whole.rows;
    }
    expect((await verify({ chains: [{ ...whole, rows: rows() }] })).ok).toBe(true);
  });

  describe.each(Array.from({ length }, (_, index) => index + 1))('with row %d', (sequence) => {
    const tamper = (change: (rows: ExportedRow[]) => ExportedRow[]) => {
      const whole = chain();
      return { ...whole, rows: change([...whole.rows]) };
    };
    const changed = (change: (row: ExportedRow) => Partial<ExportedRow>) =>
      tamper((rows) =>
        rows.map((row) => (row.sequence === sequence ? { ...row, ...change(row) } : row)),
      );

    it('changed, says so', async () => {
      const chains = [changed(({ record }) => ({ record: record.replace('event', 'evemt') }))];
      const { findings } = await verify({ chains });
      expect(findings).toEqual([{ kind: 'row_changed', chain: '3', sequence }]);
    });

    it('given another hash, says so', async () => {
      const chains = [changed(() => ({ hash: Buffer.alloc(32, 7).toString('base64url') }))];
      const { findings } = await verify({ chains });
      expect(findings).toEqual([{ kind: 'row_changed', chain: '3', sequence }]);
    });

    it('missing, says so', async () => {
      const chains = [tamper((rows) => rows.filter((row) => row.sequence !== sequence))];
      const { findings } = await verify({ chains });
      const kind = sequence === length ? 'rows_cut_off' : 'rows_missing';
      expect(findings).toEqual([{ kind, chain: '3', first: sequence, last: sequence }]);
    });

    it('missing and the others numbered anew, says so', async () => {
      const renumbered = tamper((rows) =>
        rows
          .filter((row) => row.sequence !== sequence)
          .map((row, index) => ({ ...row, sequence: index + 1 })),
      );
      const { findings } = await verify({ chains: [renumbered] });
      expect(findings.length).toBeGreaterThan(0);
      expect(findings[0]).toMatchObject(
        sequence === length
          ? { kind: 'rows_cut_off', first: length }
          : { kind: 'row_changed', sequence },
      );
    });

    it('twice, says so', async () => {
      const chains = [
        tamper((rows) => rows.flatMap((row) => (row.sequence === sequence ? [row, row] : [row]))),
      ];
      const { findings } = await verify({ chains });
      expect(findings).toEqual([{ kind: 'row_out_of_order', chain: '3', sequence }]);
    });

    it('and all after it written anew, says between which checkpoints', async () => {
      const whole = chain();
      const checkpoints = [
        await checkpointOf([entryAt(whole, 3)]),
        await checkpointOf([entryAt(whole, length)]),
      ];
      const forged = chainOf('3', 3, length, undefined, 'forged');
      let previous =
        sequence === 1
          ? Buffer.alloc(32)
          : Buffer.from(whole.rows[sequence - 2]?.hash ?? '', 'base64url');
      const rows = whole.rows.map((row, index) => {
        if (row.sequence < sequence) return row;
        const record = forged.rows[index]?.record ?? '';
        previous = sha256(previous, record);
        return { ...row, record, hash: previous.toString('base64url') };
      });
      const head = { count: length, hash: previous.toString('base64url') };
      const { findings } = await verify({ chains: [{ ...whole, rows, head }], checkpoints });
      const expected = sequence <= 3 ? { first: 1, last: 3 } : { first: 4, last: length };
      expect(findings).toEqual([{ kind: 'rows_rewritten', chain: '3', ...expected }]);
    });
  });

  it('finds an end that was cut off together with its head, by a checkpoint', async () => {
    const whole = chain();
    const checkpoints = [await checkpointOf([entryAt(whole, length)])];
    const short = chainOf('3', 3, 5);
    expect(await findingsOf({ chains: [short], checkpoints })).toEqual([
      'chain 3: rows 6 to 8 cut off at the end',
    ]);
    expect((await verify({ chains: [short] })).ok).toBe(true);
  });

  it('finds rows that changed places', async () => {
    const whole = chain();
    const [a, b, ...rest] = whole.rows;
    const rows = [b, a, ...rest].filter((row) => row !== undefined);
    expect(await findingsOf({ chains: [{ ...whole, rows }] })).toEqual([
      'chain 3: row 1 missing',
      'chain 3: row 1 is not in its place',
    ]);
  });

  it('finds the rows of one chain in the place of another', async () => {
    const foreign = { ...chainOf('4', 4, 2), name: '5' };
    expect(await findingsOf({ chains: [foreign] })).toEqual([
      'chain 5: row 1 holds a record of another row or chain',
      'chain 5: row 2 holds a record of another row or chain',
    ]);
  });

  it('finds a head that is not its own, and a chain that is gone', async () => {
    const whole = chain();
    const head = { count: length, hash: 'A'.repeat(43) };
    expect(await findingsOf({ chains: [{ ...whole, head }] })).toEqual([
      'chain 3: its head is not that of its newest row',
    ]);
    const checkpoints = [await checkpointOf([entryAt(whole, 2)])];
    expect(await findingsOf({ checkpoints })).toEqual(['chain 3: missing as a whole']);
  });

  it('counts no checkpoint that does not verify', async () => {
    const whole = chain();
    const good = await checkpointOf([entryAt(whole, 2)]);
    const [header, payload, signature] = good.split('.');
    const other = await checkpointOf([entryAt(whole, 3)]);
    const checkpoints = [
      `${header}.${other.split('.')[1]}.${signature}`,
      await checkpointOf([entryAt(whole, 2)], { typ: 'decision+jwt' }),
      await checkpointOf([entryAt(whole, 2)], { iss: 'https://other.example.com' }),
      await checkpointOf([]),
      'nonsense',
    ];
    const report = await verify({ chains: [whole], checkpoints });
    expect(report.checkpoints.verified).toBe(0);
    expect(report.findings.map(describeFinding)).toEqual([
      'checkpoint 1: its signature does not verify',
      'checkpoint 2: it is another kind of token',
      'checkpoint 3: it is of another broker, https://other.example.com',
      'checkpoint 4: its claims are malformed',
      'checkpoint 5: its signature does not verify',
    ]);
    const unknown = await verify({ chains: [whole], checkpoints: [good], keys: [] });
    expect(unknown.findings).toMatchObject([{ kind: 'checkpoint_invalid', index: 0 }]);
    expect(payload).not.toBe('');
  });

  it('count only by a key that is said to be for the audit', async () => {
    const whole = chain();
    const checkpoints = [await checkpointOf([entryAt(whole, 4)])];
    const said = (purpose?: string) => keys.map((key) => ({ ...key, purpose }));
    const [kid] = keys.map((key) => key.kid);
    const findings = (given: CheckpointKeys) =>
      findingsOf({ chains: [whole], checkpoints, keys: given });
    expect(await findings(said('decision'))).toEqual([
      `checkpoint 1: its key ${kid} is for decision`,
    ]);
    expect(await findings(said())).toEqual([
      `checkpoint 1: its key ${kid} does not say what it is for`,
    ]);
    // A key that was kept twice, the second time by a version that says it.
    expect(await findings([...said(), ...keys])).toEqual([]);
  });
});

describe('after an import', () => {
  const archived = () => chainOf(`${exportId}.3`, 3, 4);
  const startOf = (chains: { name: string; head: { count: number; hash: string } }[]) =>
    JSON.stringify({
      chains: chains.map(({ name, head }) => ({ chain_id: name, ...head })),
      import_id: exportId,
      shard: 3,
      v: 1,
    });

  it('follows the archived chain into the one after it, and checkpoints from before and after', async () => {
    const before = archived();
    const after = chainOf('3', 3, 5, startOf([before]));
    const checkpoints = [
      await checkpointOf([entryAt(before, 4, { chain: '3' })]),
      await checkpointOf([entryAt(after, 5, { began_with: exportId }), entryAt(before, 4)]),
    ];
    expect(await verify({ chains: [before, after], checkpoints })).toMatchObject({
      ok: true,
      chains: [{ coveredThrough: 4 }, { coveredThrough: 5 }],
    });
  });

  it('finds an archived chain that was cut off, changed or taken away', async () => {
    const before = archived();
    const after = chainOf('3', 3, 5, startOf([before]));
    const short = chainOf(before.name, 3, 3);
    expect(await findingsOf({ chains: [short, after] })).toEqual([
      `chain ${before.name}: it does not end as the chain after it says`,
    ]);
    expect(await findingsOf({ chains: [after] })).toEqual([
      `chain ${before.name}: missing as a whole`,
    ]);
    const checkpoints = [await checkpointOf([entryAt(before, 4, { chain: '3' })])];
    expect(await findingsOf({ chains: [short], checkpoints })).toEqual([
      `chain ${before.name}: row 4 cut off at the end`,
    ]);
  });

  it('finds a beginning that was changed', async () => {
    const before = archived();
    const after = chainOf('3', 3, 5, startOf([before]));
    const start = startOf([chainOf(before.name, 3, 3)]);
    const { findings } = await verify({ chains: [before, { ...after, start }] });
    expect(findings).toEqual([
      { kind: 'row_changed', chain: '3', sequence: 1 },
      { kind: 'archive_wrong', chain: before.name },
    ]);
    expect(await findingsOf({ chains: [{ ...after, start: '{}' }] })).toContain(
      'chain 3: what it began with was changed',
    );
  });
});
