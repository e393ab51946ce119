import {
  type AuditCheckpointClaims,
  auditCheckpointClaims,
  auditCheckpointTyp,
  type KeptCheckpointSet,
} from '@countersign/protocol/system-log';
import { compactVerify, decodeProtectedHeader, importJWK } from 'jose';
import type { Finding } from './finding.ts';

/** With what their purpose was said to be: one that is not said to be `audit` verifies nothing. */
export type CheckpointKeys = KeptCheckpointSet['keys'];

type Read = { readonly claims: AuditCheckpointClaims } | { readonly detail: string };

async function readCheckpoint(jws: string, keys: CheckpointKeys, issuer: string): Promise<Read> {
  try {
    const { kid } = decodeProtectedHeader(jws);
    const named = keys.filter((key) => key.kid === kid);
    // What an older version kept is said again by whoever kept it since.
    const jwk = named.find(({ purpose }) => purpose === 'audit') ?? named[0];
    if (jwk === undefined) return { detail: `its key ${String(kid)} is not among the keys given` };
    const { kty, crv, x, y, purpose } = jwk;
    if (purpose === undefined) return { detail: `its key ${jwk.kid} does not say what it is for` };
    if (purpose !== 'audit') return { detail: `its key ${jwk.kid} is for ${purpose}` };
    const key = await importJWK({ kty, crv, x, y }, 'ES256');
    const { payload, protectedHeader } = await compactVerify(jws, key, { algorithms: ['ES256'] });
    if (protectedHeader.typ !== auditCheckpointTyp)
      return { detail: 'it is another kind of token' };
    const claims = auditCheckpointClaims.safeParse(JSON.parse(new TextDecoder().decode(payload)));
    if (!claims.success) return { detail: 'its claims are malformed' };
    if (claims.data.iss !== issuer)
      return { detail: `it is of another broker, ${claims.data.iss}` };
    return { claims: claims.data };
  } catch {
    return { detail: 'its signature does not verify' };
  }
}

/** Verifies checkpoints. One that does not verify counts for nothing and is told. */
export async function readCheckpoints(
  checkpoints: readonly string[],
  keys: CheckpointKeys,
  issuer: string,
): Promise<{
  readonly claims: readonly AuditCheckpointClaims[];
  readonly findings: readonly Finding[];
}> {
  const claims: AuditCheckpointClaims[] = [];
  const findings: Finding[] = [];
  for (const [index, jws] of checkpoints.entries()) {
    const read = await readCheckpoint(jws, keys, issuer);
    if ('claims' in read) claims.push(read.claims);
    else findings.push({ kind: 'checkpoint_invalid', index, detail: read.detail });
  }
  return { claims, findings };
}
