import { auditCheckpointClaims } from '@countersign/protocol/system-log';
import { compactVerify, importJWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { fakeSqlStorage } from '../testing/fake-sql-storage.ts';
import { ecdsaKeys } from '../testing/generate-keys.ts';
import { signingKeysOf } from '../testing/token-keys.ts';
import type { SigningKeys } from '../token/token-key.ts';
import { readCheckpointChains, signCheckpoints } from './checkpoints.ts';
import { reportMigrations } from './report-schema.ts';

const brokerUrl = 'https://broker.example.com';
const nowMs = Date.UTC(2026, 10, 22) + 999;
let auditKeys: SigningKeys;
beforeAll(async () => {
  auditKeys = await signingKeysOf(await ecdsaKeys(), await ecdsaKeys());
});

function chainsOf(count: number) {
  const sql = fakeSqlStorage(reportMigrations);
  for (let chain = 0; chain < count; chain++) {
    sql.exec(
      'INSERT INTO chains (chain, start, sequence, hash) VALUES (?, ?, ?, ?)',
      String(chain),
      chain === 1 ? '{"import_id":"AAAAAAAAAAAAAAAAAAAAAA"}' : null,
      chain === 2 ? 0 : chain + 1,
      new Uint8Array(32).fill(chain),
    );
  }
  return readCheckpointChains(sql);
}

describe('checkpoints', () => {
  it('name every chain that has rows, signed with the audit key', async () => {
    const { checkpoints, keys } = await signCheckpoints(
      chainsOf(4),
      { brokerUrl, auditKeys },
      nowMs,
    );
    expect(checkpoints).toHaveLength(1);
    expect(keys.map(({ kid }) => kid)).toEqual([...auditKeys.accepted.keys()]);
    const key = await importJWK({ ...keys[0] }, 'ES256');
    const { protectedHeader, payload } = await compactVerify(checkpoints[0] ?? '', key);
    expect(protectedHeader).toEqual({
      alg: 'ES256',
      typ: 'audit-checkpoint+jwt',
      kid: auditKeys.active.kid,
    });
    const claims = auditCheckpointClaims.parse(JSON.parse(new TextDecoder().decode(payload)));
    expect(claims).toMatchObject({ iss: brokerUrl, iat: Math.floor(nowMs / 1000) });
    expect(claims.chains.map(({ chain, count, began_with }) => [chain, count, began_with])).toEqual(
      [
        ['0', 1, undefined],
        ['1', 2, 'AAAAAAAAAAAAAAAAAAAAAA'],
        ['3', 4, undefined],
      ],
    );
  });

  it('are several where there are many chains, and none where there are no rows', async () => {
    const signer = { brokerUrl, auditKeys };
    expect((await signCheckpoints(chainsOf(100), signer, nowMs)).checkpoints).toHaveLength(4);
    expect(await signCheckpoints([], signer, nowMs)).toEqual({ checkpoints: [], keys: [] });
  });
});
