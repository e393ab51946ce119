import { readFileSync } from 'node:fs';
import { AdminClient, BrokerRefusal, BrokerUnreachable } from '../client/admin-client.ts';
import { type Command, CommandError, type Context, type Shown, UsageError } from './command.ts';
import { describeRefusal } from './describe-refusal.ts';
import { commandHelp, generalHelp, program, usageOf } from './help.ts';
import { findMeant, type Invocation, parseArguments } from './parse-arguments.ts';
import { printable, printSection } from './print.ts';

export type World = {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
  readonly isTerminal: boolean;
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly fetch?: typeof fetch;
};

/** 0 done, 1 refused or failed, 2 wrong command line, 3 worth trying again later. */
export type ExitCode = 0 | 1 | 2 | 3;

const loopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** An origin. The token is sent there, so http is for this machine alone. */
function parseBroker(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url !== undefined && `${url.origin}/` === url.href;
  if (!isOrigin || !/^https?:$/.test(url.protocol)) {
    throw new UsageError('the broker must be a URL like https://countersign.example.com');
  }
  if (url.protocol === 'http:' && !loopback.test(url.hostname)) {
    throw new UsageError('the broker must have https: the token would be readable on the way');
  }
  return url.origin;
}

function readToken(file: string | undefined, environment: World['environment']): string {
  if (file === undefined) {
    const token = environment.COUNTERSIGN_ADMIN_TOKEN ?? '';
    if (token !== '') return checkedToken(token, 'COUNTERSIGN_ADMIN_TOKEN');
    throw new UsageError('no token is named: --token-file or COUNTERSIGN_ADMIN_TOKEN');
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new UsageError(`--token-file ${file} cannot be read`);
  }
  return checkedToken(text.trim(), '--token-file');
}

function checkedToken(token: string, where: string): string {
  if (/^[\x21-\x7e]{1,512}$/.test(token)) return token;
  throw new UsageError(`what ${where} holds is no token`);
}

function makeContext(invocation: Invocation, world: World): Context {
  const { environment, nowMs, sleep } = world;
  const named = invocation.broker ?? (environment.COUNTERSIGN_BROKER_URL || undefined);
  const broker = named === undefined ? undefined : parseBroker(named);
  const token = () => readToken(invocation.tokenFile, environment);
  let client: AdminClient | undefined;
  return {
    broker,
    token,
    environment,
    isTerminal: world.isTerminal,
    nowMs,
    sleep,
    progress: (line) => world.error(`${printable(line)}\n`),
    client: () => {
      if (broker === undefined) {
        throw new UsageError('no broker is named: --broker or COUNTERSIGN_BROKER_URL');
      }
      client ??= new AdminClient({
        brokerUrl: broker,
        token: token(),
        sleep,
        ...(world.fetch === undefined ? {} : { fetch: world.fetch }),
      });
      return client;
    },
  };
}

function print(shown: Shown, json: boolean, world: World): void {
  const text = json
    ? JSON.stringify(shown.json, undefined, 2)
    : shown.sections.flatMap(printSection).join('\n');
  world.out(`${text}\n`);
}

function tell(error: unknown, command: Command | undefined, world: World): ExitCode {
  const say = (...lines: string[]) =>
    world.error(lines.map((line) => `${printable(line)}\n`).join(''));
  if (error instanceof UsageError) {
    const usage = command === undefined ? `${program} --help` : usageOf(command);
    say(`${program}: ${error.message}`, `usage: ${usage}`);
    return 2;
  }
  if (error instanceof BrokerRefusal) {
    say(...describeRefusal(error, command));
    return error.worthRetrying ? 3 : 1;
  }
  if (error instanceof BrokerUnreachable) {
    say(
      `${program}: no answer of a broker: ${error.message}`,
      'Look at the URL and the network, and try again. What was asked may have happened.',
    );
    return 3;
  }
  if (error instanceof CommandError) {
    say(...error.message.split('\n').map((line, at) => (at === 0 ? `${program}: ${line}` : line)));
    return 1;
  }
  throw error;
}

/** Runs the program once. */
export async function runProgram(
  commands: readonly Command[],
  programArguments: readonly string[],
  world: World,
): Promise<ExitCode> {
  let command = findMeant(commands, programArguments);
  try {
    const invocation = parseArguments(commands, programArguments);
    ({ command } = invocation);
    if (invocation.help || command === undefined) {
      world.out(
        command === undefined ? generalHelp(invocation.helpedCommands) : commandHelp(command),
      );
      return 0;
    }
    const shown = await command.run(makeContext(invocation, world), invocation.input);
    print(shown, invocation.json, world);
    return shown.failed === true ? 1 : 0;
  } catch (error) {
    return tell(error, command, world);
  }
}
