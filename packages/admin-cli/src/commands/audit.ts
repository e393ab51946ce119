import { readAuditFolder, writeAuditFolder } from '../audit/exported-folder.ts';
import {
  fetchCheckpoints,
  type KeptCheckpoints,
  keptText,
  readKeptCheckpoints,
} from '../audit/kept-checkpoints.ts';
import { chainRoutes, openChains } from '../audit/read-chains.ts';
import {
  type Command,
  type Context,
  type Input,
  lines,
  parameterOf,
  rows,
  type Shown,
  table,
} from '../command-line/command.ts';
import { type AuditReport, describeFinding, verifyAudit } from '../verify-audit/index.ts';
import { appendToFile } from './write-output.ts';

const checkpointsRoute = 'GET /v1/admin/checkpoints';

/** From a folder, or from the broker: checkpoints first, which are then no newer than the rows. */
async function readLog(context: Context, folder: string | undefined) {
  if (folder !== undefined) return readAuditFolder(folder);
  const kept = await fetchCheckpoints(context.client());
  return { kept, chains: await openChains(context.client()) };
}

function describeReport(report: AuditReport, kept: KeptCheckpoints, file: string | undefined) {
  const { newestAtSeconds } = report.checkpoints;
  const whose =
    file === undefined
      ? 'of the log itself: who can change that can make others. Keep some elsewhere: checkpoints save'
      : `of ${file}`;
  return [
    rows(
      ['broker', kept.issuer],
      ['chains', String(report.chains.length)],
      ['rows', String(report.chains.reduce((sum, chain) => sum + chain.rows, 0))],
      ['checkpoints', `${report.checkpoints.verified} verified, ${whose}`],
      [
        'newest',
        newestAtSeconds === undefined ? undefined : new Date(newestAtSeconds * 1000).toISOString(),
      ],
    ),
    table(
      ['chain', 'rows', 'covered through'],
      report.chains
        .filter((chain) => chain.rows > 0)
        .map(({ name, rows: count, coveredThrough }) => [
          name,
          String(count),
          String(coveredThrough),
        ]),
      'No chain has a row.',
    ),
    lines('', ...(report.ok ? ['Nothing is wrong.'] : report.findings.map(describeFinding))),
  ];
}

async function verify(context: Context, input: Input): Promise<Shown> {
  const folder = input.option('--folder');
  const file = input.option('--checkpoints');
  // What was kept elsewhere alone: beside it, the log's own word is worth nothing.
  const elsewhere = file === undefined ? undefined : readKeptCheckpoints(file);
  const log = await readLog(context, folder);
  const kept = elsewhere ?? log.kept;
  const report = await verifyAudit({ chains: log.chains, ...kept });
  return {
    json: { ...report, descriptions: report.findings.map(describeFinding) },
    sections: describeReport(report, kept, file),
    ...(report.ok ? {} : { failed: true }),
  };
}

export const auditCommands: readonly Command[] = [
  {
    words: ['checkpoints', 'save'],
    parameters: ['FILE'],
    help: 'Appends signed checkpoints of the log to a file, with the keys that verify them. Keep it where the broker and its administrators cannot change it.',
    routes: [checkpointsRoute],
    run: async (context, input) => {
      const file = parameterOf(input, 0);
      const kept = await fetchCheckpoints(context.client());
      appendToFile(file, keptText(kept, context.nowMs()));
      return {
        json: { file, checkpoints: kept.checkpoints.length },
        sections: [lines(`${kept.checkpoints.length} checkpoints were appended to ${file}.`)],
      };
    },
  },
  {
    words: ['audit', 'export'],
    parameters: ['DIR'],
    help: 'Writes all chains of the log into a new folder.',
    routes: [checkpointsRoute, ...chainRoutes],
    run: async (context, input) => {
      const directory = parameterOf(input, 0);
      const { kept, chains } = await readLog(context, undefined);
      const written = await writeAuditFolder(directory, chains, kept, context.nowMs());
      return {
        json: { directory, chains: chains.length, rows: written },
        sections: [lines(`${written} rows of ${chains.length} chains are in ${directory}.`)],
      };
    },
  },
  {
    words: ['verify-audit'],
    options: {
      '--folder': { value: 'DIR', help: 'of audit export; else the broker is asked' },
      '--checkpoints': { value: 'FILE', help: 'that was kept elsewhere, of checkpoints save' },
    },
    help: 'Verifies the log, from a folder or from the broker. Says which row is wrong, with exit code 1.',
    routes: [checkpointsRoute, ...chainRoutes],
    run: verify,
  },
];
