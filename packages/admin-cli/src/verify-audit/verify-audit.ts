import type { AuditCheckpointClaims } from '@countersign/protocol/system-log';
import * as z from 'zod/mini';
import {
  ChainCheck,
  type ChainHead,
  type Expectation,
  type ExportedRow,
  writerOf,
} from './check-chain.ts';
import type { Finding } from './finding.ts';
import { type CheckpointKeys, readCheckpoints } from './read-checkpoints.ts';

/** A chain as it was exported. */
export type ExportedChain = {
  /** A shard's number, `organization`, or of one that an import archived `<export id>.<shard>`. */
  readonly name: string;
  /** What it began with: canonical JSON; absent where it began with nothing. */
  readonly start: string | undefined;
  /** Its head, as given with its rows. */
  readonly head: ChainHead | undefined;
  /** As given, oldest first. */
  readonly rows: AsyncIterable<ExportedRow> | Iterable<ExportedRow>;
};

export type AuditInput = {
  /** All of them: a chain that is left out is told as missing where anything names it. */
  readonly chains: readonly ExportedChain[];
  /** Compact JWSs, in any order, from wherever they were kept. */
  readonly checkpoints: readonly string[];
  /** Keys of the purpose `audit`, kept with the checkpoints or of the broker's `jwks.json`. */
  readonly keys: CheckpointKeys;
  /** The broker's URL. */
  readonly issuer: string;
};

export type ChainReport = {
  readonly name: string;
  readonly rows: number;
  /** The newest row that a checkpoint covers; what comes after it could have been written anew unseen. */
  readonly coveredThrough: number;
};

export type AuditReport = {
  /** Nothing was found. */
  readonly ok: boolean;
  readonly chains: readonly ChainReport[];
  readonly checkpoints: {
    readonly verified: number;
    /** Seconds since the epoch; absent where none verified. */
    readonly newestAtSeconds?: number;
  };
  readonly findings: readonly Finding[];
};

const chainStart = z.object({
  shard: z.int(),
  import_id: z.string(),
  chains: z.array(z.object({ chain_id: z.string(), count: z.int(), hash: z.string() })),
});
type ChainStart = z.infer<typeof chainStart>;

/** `undefined` for what cannot be read. */
function parseStart(start: string): ChainStart | undefined {
  try {
    return chainStart.parse(JSON.parse(start));
  } catch {
    return undefined;
  }
}

type KnownChain = ExportedChain & {
  /** Id of the import that it began with. */
  readonly beganWith: string | undefined;
  readonly archives: ChainStart['chains'];
};

function readStart(chain: ExportedChain, findings: Finding[]): KnownChain {
  if (chain.start === undefined) return { ...chain, beganWith: undefined, archives: [] };
  const start = parseStart(chain.start);
  if (start === undefined || String(start.shard) !== writerOf(chain.name)) {
    findings.push({ kind: 'start_wrong', chain: chain.name });
  }
  return { ...chain, beganWith: start?.import_id, archives: start?.chains ?? [] };
}

/**
 * The chain that a checkpoint means: the one that had its name then. A shard's chain has its number while it is written,
 * and is archived under another name by an import; what it began with tells which one it is.
 */
function findChain(
  chains: readonly KnownChain[],
  { chain, began_with }: AuditCheckpointClaims['chains'][number],
): KnownChain | undefined {
  const exact = chains.find(({ name, beganWith }) => name === chain && beganWith === began_with);
  if (exact !== undefined || chain.includes('.')) return exact;
  return chains.find(
    ({ name, beganWith }) =>
      name.includes('.') && writerOf(name) === chain && beganWith === began_with,
  );
}

function expectationsOf(
  chains: readonly KnownChain[],
  claims: readonly AuditCheckpointClaims[],
  findings: Finding[],
): ReadonlyMap<string, Expectation[]> {
  const expectations = new Map<string, Expectation[]>(chains.map(({ name }) => [name, []]));
  const missing = new Set<string>();
  for (const { iat, chains: named } of claims) {
    for (const entry of named) {
      const found = findChain(chains, entry);
      if (found === undefined) missing.add(entry.chain);
      else {
        const { count, hash } = entry;
        expectations.get(found.name)?.push({ count, hash, issuedAtSeconds: iat });
      }
    }
  }
  for (const chain of missing) findings.push({ kind: 'chain_missing', chain });
  return expectations;
}

/** Every archived chain must end as the beginning of the chain after it says. */
function checkArchives(
  chains: readonly KnownChain[],
  heads: ReadonlyMap<string, ChainHead>,
): Finding[] {
  return chains.flatMap(({ archives }) =>
    archives.flatMap(({ chain_id: chain, count, hash }): Finding[] => {
      const head = heads.get(chain);
      if (head === undefined) return [{ kind: 'chain_missing', chain }];
      return head.count === count && head.hash === hash ? [] : [{ kind: 'archive_wrong', chain }];
    }),
  );
}

const sameFinding = (a: Finding, b: Finding) => JSON.stringify(a) === JSON.stringify(b);

/**
 * Checks an exported log: every chain row by row, what ties archived chains to those after them, and the checkpoints.
 * Found is each row that was changed, is missing, is in another place or was cut off, up to the newest checkpoint; of
 * rows that were all written anew after a checkpoint it finds between which two checkpoints. Reads rows as they come.
 */
export async function verifyAudit(input: AuditInput): Promise<AuditReport> {
  const findings: Finding[] = [];
  const { claims, findings: invalid } = await readCheckpoints(
    input.checkpoints,
    input.keys,
    input.issuer,
  );
  findings.push(...invalid);
  const chains = input.chains.map((chain) => readStart(chain, findings));
  const expectations = expectationsOf(chains, claims, findings);
  const reports: ChainReport[] = [];
  const heads = new Map<string, ChainHead>();
  for (const { name, start, head, rows } of chains) {
    const check = new ChainCheck(name, start, expectations.get(name) ?? []);
    for await (const row of rows) check.add(row);
    const { head: found, coveredThrough } = check.end(head);
    heads.set(name, found);
    findings.push(...check.findings);
    reports.push({ name, rows: found.count, coveredThrough });
  }
  findings.push(...checkArchives(chains, heads));
  const different = findings.filter(
    (finding, index) => findings.findIndex((other) => sameFinding(finding, other)) === index,
  );
  const times = claims.map(({ iat }) => iat);
  return {
    ok: different.length === 0,
    chains: reports,
    checkpoints: {
      verified: claims.length,
      ...(times.length === 0 ? {} : { newestAtSeconds: Math.max(...times) }),
    },
    findings: different,
  };
}
