import {
  type Command,
  type Context,
  type Input,
  lines,
  type Option,
  type Shown,
  UsageError,
} from '../command-line/command.ts';
import { withEdgeServer } from './edge-server.ts';

/** Issuers of a data folder of this machine, also of one whose broker runs on Cloudflare. */

const folder: Readonly<Record<string, Option>> = {
  '--data': { value: 'DIR', help: 'the data folder; else COUNTERSIGN_DATA, or .countersign' },
  '--worker': { value: 'FILE', help: "the broker's program, where it is not in its place" },
  '--cloudflare': { help: 'the broker runs on Cloudflare, and is asked at its URL' },
};
const input = { '--input': { value: 'FILE', help: 'what is read' } };
const output = { '--output': { value: 'FILE', help: 'what is written' } };
const issuer = { '--issuer': { value: 'NAME', help: 'its name in the folder, like issuer-2' } };

/** What the edge server prints to be typed next. */
const typedWords = { command: 'countersign-admin ca', url: '--broker' };

/** Options as the edge server's own command reads them. */
function argumentsOf(options: Readonly<Record<string, Option>>, given: Input): string[] {
  return Object.entries(options).flatMap(([name, { value }]) => {
    if (value === undefined) return given.flag(name) ? [name] : [];
    const text = given.option(name);
    return text === undefined ? [] : [`${name}=${text}`];
  });
}

async function runIssuers(
  context: Context,
  action: string,
  options: Readonly<Record<string, Option>>,
  given: Input,
): Promise<Shown> {
  const broker = context.broker === undefined ? [] : [`--broker-url=${context.broker}`];
  const args = [action, ...argumentsOf(options, given), ...broker];
  const outcome = await withEdgeServer(({ runIssuerCommand }) =>
    runIssuerCommand(args, context.environment, context.nowMs(), typedWords),
  );
  if (!('secrets' in outcome)) {
    return { json: { lines: outcome.lines }, sections: [lines(...outcome.lines)] };
  }
  if (context.isTerminal) {
    throw new UsageError('these are private keys: pass them on, as in … | wrangler secret bulk');
  }
  const secrets = await withEdgeServer(() => outcome.secrets());
  return { json: secrets, sections: [lines(JSON.stringify(secrets, undefined, 2))] };
}

function command(
  word: string,
  action: string,
  own: Readonly<Record<string, Option>>,
  help: string,
  routes: readonly string[] = [],
): Command {
  const options = { ...own, ...(action === 'sign' ? {} : folder) };
  return {
    words: ['ca', word],
    options,
    help,
    routes,
    run: (context, given) => runIssuers(context, action, options, given),
  };
}

const list = 'GET /v1/admin/issuers';

export const caCommands: readonly Command[] = [
  command(
    'status',
    'status',
    {},
    'Says which issuers a data folder has, and what the broker makes of them.',
    [list],
  ),
  command(
    'new-issuer',
    'new',
    {},
    'Makes a second issuer with the root key in the folder, and says how to go on.',
    [list],
  ),
  command(
    'csr',
    'csr',
    output,
    'For a root key that is kept elsewhere: makes the key of a second issuer, and the request for the root.',
  ),
  command(
    'sign',
    'sign',
    {
      ...input,
      '--root-certificate': { value: 'FILE', help: 'of the root' },
      '--root-key': { value: 'FILE', help: 'of the root' },
      ...output,
    },
    'Where the root key is: answers the request with a chain. Needs no data folder.',
  ),
  command('import', 'import', input, 'Takes that chain, after every check.', [list]),
  command(
    'activate',
    'activate',
    issuer,
    'Has new certificates issued by an issuer; by the newest when none is named.',
    [list, 'POST /v1/admin/issuers/:id/activate'],
  ),
  command(
    'retire',
    'retire',
    { ...issuer, '--override': { help: 'also while certificates of it would count' } },
    'Ends the trust in an issuer, and removes its key from the folder.',
    [list, 'POST /v1/admin/issuers/:id/retire'],
  ),
  command('discard', 'discard', {}, 'Gives up an issuer whose certificate has not come.'),
  command(
    'secrets',
    'secrets',
    {},
    'For a broker on Cloudflare: the secrets of all issuers as JSON, for wrangler secret bulk.',
  ),
];
