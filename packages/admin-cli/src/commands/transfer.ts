import {
  type Command,
  type Context,
  type Input,
  lines,
  required,
  UsageError,
  wholeNumber,
} from '../command-line/command.ts';
import { withEdgeServer } from './edge-server.ts';

/** The way from one place to another, over the network: brokers on Cloudflare have no other. */

const data = {
  '--data': { value: 'DIR', help: 'the data folder with the keys; else COUNTERSIGN_DATA' },
};
const passphrase = {
  '--passphrase-file': { value: 'FILE', help: 'its first line seals the keys in the export' },
};
const inputFile = { '--input': { value: 'FILE', help: 'the export' } };

function dataDirectoryOf(context: Context, input: Input): string {
  const directory = input.option('--data') ?? (context.environment.COUNTERSIGN_DATA || undefined);
  if (directory !== undefined) return directory;
  throw new UsageError('--data is missing: the folder with the keys of the broker');
}

function brokerOf({ broker }: Context): string {
  if (broker !== undefined) return broker;
  throw new UsageError('no broker is named: --broker or COUNTERSIGN_BROKER_URL');
}

const counted = (rows: Readonly<Record<string, number>>) =>
  Object.entries(rows)
    .filter(([, count]) => count > 0)
    .map(([table, count]) => `  ${table}: ${count}`);

export const transferCommands: readonly Command[] = [
  {
    words: ['export'],
    options: {
      ...data,
      '--output': { value: 'FILE', help: 'the export, which overwrites nothing' },
      ...passphrase,
    },
    help: 'Writes all that a broker stores into one file, with the keys from its data folder encrypted. Sign-ins go on. Needs the token of an owner.',
    routes: ['GET /v1/admin/state', 'GET /v1/admin/state/marks', 'GET /v1/admin/state/rows'],
    run: (context, input) =>
      withEdgeServer(async ({ exportStateAt, readPassphrase }) => {
        const output = required(input, '--output');
        const file = {
          dataDirectory: dataDirectoryOf(context, input),
          output,
          passphrase: readPassphrase(required(input, '--passphrase-file')),
        };
        const url = brokerOf(context);
        const { rows } = await exportStateAt(url, context.token(), file, context.nowMs());
        return {
          json: { output, rows },
          sections: [lines(`Exported to ${output}:`, ...counted(rows))],
        };
      }),
  },
  {
    words: ['import', 'keys'],
    options: {
      ...data,
      ...inputFile,
      ...passphrase,
      '--shards': { value: 'N', help: 'another number of shards than before' },
    },
    help: 'Makes a new data folder with the keys of an export, which a broker elsewhere is then set up with.',
    routes: [],
    run: (context, input) =>
      withEdgeServer(async ({ makeKeysFolder, readPassphrase }) => {
        const dataDirectory = dataDirectoryOf(context, input);
        const export_ = {
          input: required(input, '--input'),
          passphrase: readPassphrase(required(input, '--passphrase-file')),
          dataDirectory,
        };
        const shards = wholeNumber(input, '--shards');
        const made = await makeKeysFolder(export_, shards, context.nowMs());
        const url = context.broker ?? 'URL';
        return {
          json: { data: dataDirectory, ...made },
          sections: [
            lines(
              `The keys of organization ${made.organizationId} are in ${dataDirectory}.`,
              `Set up the broker with them, with SHARD_COUNT ${made.shardCount}; on Cloudflare:`,
              `  countersign-server --print-cloudflare-secrets --data ${dataDirectory} --broker-url ${url} | wrangler secret bulk`,
              'Then, when it answers and before anybody uses it:',
              `  countersign-admin import state --broker ${url} --data ${dataDirectory} --input FILE --passphrase-file FILE`,
            ),
          ],
        };
      }),
  },
  {
    words: ['import', 'state'],
    options: { ...data, ...inputFile, ...passphrase },
    help: 'Sends an export to a broker that has its keys and nothing else yet. It serves nothing until that is complete.',
    routes: [
      'GET /v1/admin/state',
      'POST /v1/admin/state/import',
      'POST /v1/admin/state/import/rows',
      'POST /v1/admin/state/import/finish',
    ],
    run: (context, input) =>
      withEdgeServer(async ({ importStateAt, readPassphrase }) => {
        const export_ = {
          input: required(input, '--input'),
          passphrase: readPassphrase(required(input, '--passphrase-file')),
          dataDirectory: dataDirectoryOf(context, input),
        };
        const imported = await importStateAt(brokerOf(context), export_, context.nowMs());
        return {
          json: imported,
          sections: [
            lines(
              `Organization ${imported.organizationId} is at ${brokerOf(context)} now.`,
              ...imported.brokenChains.map(
                (chain) => `  does not verify, as it was exported: chain ${chain}`,
              ),
            ),
          ],
        };
      }),
  },
];
