import {
  CompiledPolicy,
  changeOf,
  countSignIn,
  type Effect,
  emptySimulation,
  evaluatePolicy,
  type PartialSimulation,
  type PolicyDocument,
  type PolicyFacts,
  recordedFacts,
  underPolicy,
  wasDecidedByPolicy,
  type Zones,
} from '@countersign/policy';
import { decisionRecord } from '@countersign/protocol/decision-record';
import * as z from 'zod/mini';

/** A draft, and the sign-ins that it is tried on. */
export type SimulationOrder = {
  /** By application: what would decide its sign-ins. */
  readonly policies: ReadonlyMap<string, PolicyDocument>;
  readonly zones: Zones;
  /** Members of the groups that the draft names, as they are now. */
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
  readonly sinceMs: number;
  readonly untilMs: number;
};

/** `before`: sequence number from which an older page goes on; `undefined` when there is none. */
export type SimulatedPage = {
  readonly part: PartialSimulation;
  readonly before: number | undefined;
};

/** Rows of one page: some tens of milliseconds, during which no sign-in is decided here. */
const defaultRowsPerPage = 2000;

/** Rows are in the order of their times but for a clock that was set back. */
const clockMarginMs = 3_600_000;

/** What a row must have to be asked about again. Rows of other kinds and of newer versions do not fit, and are passed over. */
const simulatedRecord = z.extend(
  z.pick(decisionRecord, {
    shard: true,
    sequence: true,
    recorded_at_ms: true,
    opened: true,
    stage: true,
    subject: true,
    application: true,
    decision: true,
    reason: true,
    rule: true,
    device_trusted: true,
    untrusted_reason: true,
    channel: true,
    facts: true,
  }),
  {
    // Read where the policy's question is made of it, and not twice.
    response: z.optional(z.unknown()),
    pending: z.optional(z.unknown()),
  },
);
type SimulatedRecord = z.infer<typeof simulatedRecord>;

const effectOf = ({ decision, pending }: SimulatedRecord): Effect => {
  if (decision) return 'allow';
  return pending === undefined ? 'deny' : 'step_up';
};

/** The application that a record's canonical JSON names. Quotes within texts are escaped there, so no text looks like it. */
const applicationIn = (record: string): string | undefined =>
  /"application":"([a-z0-9._-]+)"/.exec(record)?.[1];

/** A page of this shard's decisions, newest first. Reads only. */
export function simulatePolicy(
  sql: SqlStorage,
  order: SimulationOrder,
  before: number = Number.MAX_SAFE_INTEGER,
  rowsPerPage = defaultRowsPerPage,
): SimulatedPage {
  const { policies, zones, groups, sinceMs, untilMs } = order;
  const compiled = new Map<string, CompiledPolicy>();
  /** Made when the first record comes that it is for: of a hundred applications a page has few. */
  const compiledFor = (application: string | undefined): CompiledPolicy | undefined => {
    const policy = policies.get(application ?? '');
    if (application === undefined || policy === undefined) return undefined;
    const known = compiled.get(application) ?? new CompiledPolicy(policy, zones);
    compiled.set(application, known);
    return known;
  };
  const part = emptySimulation();
  const rows = sql
    .exec<{ sequence: number; record: string }>(
      'SELECT sequence, record FROM decisions WHERE sequence < ? ORDER BY sequence DESC LIMIT ?',
      before,
      rowsPerPage,
    )
    .toArray();
  for (const { sequence, record: text } of rows) {
    // Most of a log is about other things; that is seen without reading the whole.
    const policy = compiledFor(applicationIn(text));
    if (policy === undefined) continue;
    const read = z.safeParse(simulatedRecord, JSON.parse(text));
    if (!read.success) continue;
    const record = read.data;
    if (record.recorded_at_ms < sinceMs - clockMarginMs) return { part, before: undefined };
    if (record.recorded_at_ms < sinceMs || record.recorded_at_ms >= untilMs) continue;
    if (record.stage === 0 && wasDecidedByPolicy(record))
      count(part, record, policy, groups, sequence);
  }
  const oldest = rows.at(-1)?.sequence;
  return { part, before: rows.length < rowsPerPage ? undefined : oldest };
}

/** What was recorded, with the groups of today, and with what the draft takes for trusted. */
function factsUnder(
  policy: PolicyDocument,
  record: SimulatedRecord,
  groups: SimulationOrder['groups'],
): PolicyFacts {
  const ofUser = [...groups].filter(([, members]) => members.has(record.subject));
  return {
    ...underPolicy(policy, recordedFacts(record)),
    groups: new Set(ofUser.map(([id]) => id)),
  };
}

function count(
  part: PartialSimulation,
  record: SimulatedRecord,
  compiled: CompiledPolicy,
  groups: SimulationOrder['groups'],
  sequence: number,
): void {
  const facts = factsUnder(compiled.document, record, groups);
  const outcome = evaluatePolicy(compiled.document, (asked) => compiled.findMatch(asked), facts);
  const change = changeOf(effectOf(record), outcome.effect);
  countSignIn(part, { application: record.application, rule: outcome.rule }, change, () => ({
    decision_id: `${record.shard}.${sequence}`,
    recorded_at: new Date(record.recorded_at_ms).toISOString(),
    application: record.application,
    user: record.subject,
    rule_before: record.rule,
    rule_after: outcome.rule,
    reason_after: outcome.reason,
  }));
}
