import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cloudflareSecrets } from '../cloudflare-secrets.ts';
import { type IssuerName, isIssuerName } from '../data-directory/issuers.ts';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { EdgeServerError, errorText } from '../edge-server-error.ts';
import { openExistingDataDirectory } from '../state/open-existing.ts';
import {
  activateIssuerOf,
  awaitedIssuer,
  type BrokerPlace,
  describeIssuers,
  retireIssuer,
  waitUntilTrusted,
  withIssuerLock,
} from './issuer-operations.ts';
import { type IssuerAction, isIssuerAction, issuerActions } from './issuer-usage.ts';
import {
  importIssuerChain,
  makeNewIssuer,
  type PreparedIssuer,
  requestIssuer,
} from './prepare-issuer.ts';
import { discardIssuerRequest } from './retire-issuer.ts';
import { signIssuerRequest } from './sign-issuer-request.ts';

/** `countersign-server issuer …`: reads what was asked for, has it done, and says what has come of it. */

const text = { type: 'string' } as const;
const flags = {
  data: text,
  'broker-url': text,
  worker: text,
  cloudflare: { type: 'boolean' },
  issuer: text,
  input: text,
  output: text,
  'root-certificate': text,
  'root-key': text,
  override: { type: 'boolean' },
} as const;

const flagsOf: Record<IssuerAction, readonly (keyof typeof flags)[]> = {
  status: [],
  new: [],
  csr: ['output'],
  sign: ['input', 'root-certificate', 'root-key', 'output'],
  import: ['input'],
  activate: ['issuer'],
  retire: ['issuer', 'override'],
  discard: [],
  secrets: [],
};
const commonFlags: readonly string[] = ['data', 'broker-url', 'worker', 'cloudflare'];

const usageError = (message: string) => new EdgeServerError('setting_invalid', message);

function readFlags(action: IssuerAction, args: readonly string[]) {
  const parse = () =>
    parseArgs({ args: [...args], options: flags, allowPositionals: false }).values;
  let values: ReturnType<typeof parse>;
  try {
    values = parse();
  } catch (error) {
    throw usageError(errorText(error));
  }
  const foreign = Object.keys(values).find(
    (flag) => !commonFlags.includes(flag) && !flagsOf[action].some((own) => own === flag),
  );
  if (foreign !== undefined) throw usageError(`issuer ${action} knows no --${foreign}.`);
  return values;
}
type Values = ReturnType<typeof readFlags>;

function wanted(values: Values, flag: 'input' | 'output' | 'root-certificate' | 'root-key') {
  const value = values[flag];
  if (value === undefined) throw usageError(`--${flag} is missing.`);
  return resolve(value);
}

function readInput(values: Values, flag: 'input' | 'root-certificate' | 'root-key'): string {
  try {
    return readFileSync(wanted(values, flag), 'utf8');
  } catch (error) {
    if (error instanceof EdgeServerError) throw error;
    throw usageError(`--${flag} cannot be read: ${errorText(error)}.`);
  }
}

function chosenIssuer({ issuer }: Values): IssuerName | undefined {
  if (issuer === undefined || isIssuerName(issuer)) return issuer;
  throw usageError(`--issuer must be a name like issuer-2, not "${issuer}".`);
}

/** How the command is called, for what is printed to be typed next. */
const ownWords = { command: 'countersign-server issuer', url: '--broker-url' };

type World = {
  readonly data: DataDirectory;
  readonly values: Values;
  readonly place: BrokerPlace;
  readonly nowMs: number;
  /** The command as it would be typed again, with another action. */
  readonly again: (action: string) => string;
};

async function openWorld(
  values: Values,
  environment: Readonly<Record<string, string | undefined>>,
  nowMs: number,
  typed: typeof ownWords,
): Promise<World> {
  const setting = (flag: string | undefined, variable: string) =>
    flag ?? (environment[variable] || undefined);
  const directory = setting(values.data, 'COUNTERSIGN_DATA') ?? '.countersign';
  const brokerUrl = setting(values['broker-url'], 'COUNTERSIGN_BROKER_URL');
  if (values.cloudflare === true && brokerUrl === undefined) {
    throw usageError('With --cloudflare the broker is asked at its URL: say it with --broker-url.');
  }
  const workerBundle = setting(values.worker, 'COUNTERSIGN_WORKER');
  const place: BrokerPlace =
    values.cloudflare === true && brokerUrl !== undefined
      ? { at: 'url', url: brokerUrl }
      : { at: 'folder', workerBundle };
  const where = place.at === 'url' ? ` ${typed.url} ${place.url} --cloudflare` : '';
  return {
    data: await openExistingDataDirectory(directory, nowMs),
    values,
    place,
    nowMs,
    again: (action) => `${typed.command} ${action} --data ${directory}${where}`,
  };
}

/** What to do with an issuer that is in the folder now. */
async function afterPreparing(world: World, issuer: PreparedIssuer): Promise<string[]> {
  const { data, place, nowMs, again } = world;
  const lines = [`${issuer.name} is prepared: ${issuer.issuerId}`];
  if (place.at === 'url') {
    return [
      ...lines,
      'Have the broker trust it:',
      `  ${again('secrets')} | wrangler secret bulk`,
      'and a minute later, when all places have it, have new certificates issued by it:',
      `  ${again('activate')}`,
    ];
  }
  const outcome = await waitUntilTrusted(data, issuer.name, place, nowMs);
  const outcomes = {
    trusted: 'The server that runs on this folder trusts it.',
    not_yet: 'The server that runs on this folder does not trust it yet; its log says why.',
    no_server: 'No server runs on this folder: the next one trusts it.',
  };
  return [
    ...lines,
    outcomes[outcome],
    'Give its certificate to TLS fronts of your own, if there are any:',
    `  ${data.paths.certificate(issuer.name)}`,
    'Then have new certificates issued by it:',
    `  ${again('activate')}`,
  ];
}

async function statusLines(world: World): Promise<string[]> {
  const { data, place, nowMs, again } = world;
  const issuers = await describeIssuers(data, place, nowMs);
  const lines = issuers.flatMap(({ name, broker }) => [
    `${name ?? '(not in this folder)'}: ${broker?.standing ?? 'not known to the broker yet'}`,
    ...(broker === undefined
      ? []
      : [
          `  id ${broker.issuer_id}`,
          `  ends ${broker.not_after}`,
          `  certificates that count: ${broker.live_certificates}`,
        ]),
  ]);
  const awaited = awaitedIssuer(data);
  return awaited === undefined
    ? lines
    : [...lines, `${awaited}: its certificate is awaited (${again('import')} --input FILE)`];
}

async function activate(world: World): Promise<string[]> {
  const { data, values, place, nowMs } = world;
  const { name, change } = await activateIssuerOf(data, chosenIssuer(values), place, nowMs);
  return [
    change.changed
      ? `New certificates are issued by ${name}, everywhere from ${change.complete_at} on.`
      : `New certificates are issued by ${name} already.`,
    'Those of the other issuer go on to count, and move over as they are renewed.',
  ];
}

async function retire(world: World): Promise<string[]> {
  const { data, values, place, nowMs, again } = world;
  const name = chosenIssuer(values);
  if (name === undefined) throw usageError('--issuer is missing: say which one is to be retired.');
  await retireIssuer(data, name, values.override === true, place, nowMs);
  return [
    `${name} is retired, and its key is removed from this folder.`,
    ...(place.at === 'url'
      ? ['Take it from the broker as well:', `  ${again('secrets')} | wrangler secret bulk`]
      : ['Take its certificate from TLS fronts of your own.']),
  ];
}

function csr({ data, values, again }: World): string[] {
  const output = wanted(values, 'output');
  const { name, requestPem } = requestIssuer(data);
  writeFileSync(output, requestPem);
  return [
    `The request of ${name} is in ${output}. Have the root sign it, for instance where its key is:`,
    '  countersign-server issuer sign --input REQUEST --root-certificate FILE --root-key FILE --output CHAIN',
    'and bring the chain back:',
    `  ${again('import')} --input CHAIN`,
  ];
}

async function sign(values: Values, nowMs: number): Promise<string[]> {
  const output = wanted(values, 'output');
  const chain = await signIssuerRequest(
    readInput(values, 'input'),
    readInput(values, 'root-certificate'),
    readInput(values, 'root-key'),
    nowMs,
  );
  writeFileSync(output, chain);
  return [`The chain is in ${output}. The root key is needed no more.`];
}

/** Prepares first, and waits afterwards without keeping others from the folder. */
async function prepare(world: World, make: () => Promise<PreparedIssuer>): Promise<string[]> {
  return await afterPreparing(world, await withIssuerLock(world.data, make));
}

async function run(
  action: Exclude<IssuerAction, 'secrets' | 'sign'>,
  world: World,
): Promise<string[]> {
  const { data, values, nowMs } = world;
  switch (action) {
    case 'status':
      return await statusLines(world);
    case 'new':
      return await prepare(world, () => makeNewIssuer(data, nowMs));
    case 'csr':
      return await withIssuerLock(data, () => csr(world));
    case 'import': {
      const chain = readInput(values, 'input');
      return await prepare(world, () => importIssuerChain(data, chain, nowMs));
    }
    case 'activate':
      return await activate(world);
    case 'retire':
      return await withIssuerLock(data, () => retire(world));
    case 'discard':
      return await withIssuerLock(data, () => [`${discardIssuerRequest(data)} is given up.`]);
  }
}

/** The bindings of all issuers that are there, and `null` for those of a second one that is not. */
async function secretsOf(
  values: Values,
  environment: Readonly<Record<string, string | undefined>>,
  nowMs: number,
): Promise<Readonly<Record<string, string | null>>> {
  const brokerUrl = values['broker-url'] ?? environment.COUNTERSIGN_BROKER_URL;
  const dataDirectory = values.data ?? environment.COUNTERSIGN_DATA ?? '.countersign';
  await openExistingDataDirectory(dataDirectory, nowMs);
  const options = { dataDirectory, ...(brokerUrl === undefined ? {} : { brokerUrl }) };
  const secrets = await cloudflareSecrets(options, nowMs);
  const names = ['ISSUER_CERTIFICATE', 'ISSUER_KEY', 'SCEP_RA_CERTIFICATE', 'SCEP_RA_KEY'];
  const second = ['ISSUER_2_CERTIFICATE', 'ISSUER_2_KEY', 'SCEP_RA_2_CERTIFICATE'];
  return Object.fromEntries([...names, ...second].map((name) => [name, secrets[name] ?? null]));
}

export type IssuerCommandOutcome =
  | { readonly lines: readonly string[] }
  /** Private keys: not for a terminal. */
  | { readonly secrets: () => Promise<Readonly<Record<string, string | null>>> };

/**
 * @param args without `issuer`
 * @throws EdgeServerError
 */
export async function runIssuerCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  nowMs: number,
  typed = ownWords,
): Promise<IssuerCommandOutcome> {
  const [action, ...rest] = args;
  if (!isIssuerAction(action)) {
    throw usageError(`issuer must be followed by one of ${issuerActions.join(', ')}.`);
  }
  const values = readFlags(action, rest);
  if (action === 'sign') return { lines: await sign(values, nowMs) };
  if (action === 'secrets') return { secrets: () => secretsOf(values, environment, nowMs) };
  return { lines: await run(action, await openWorld(values, environment, nowMs, typed)) };
}
