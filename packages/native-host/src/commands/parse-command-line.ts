import { isAbsolute } from 'node:path';
import { nativeHostName } from '@countersign/protocol/native-messages';
import { defaultConfigurationPath } from '../configuration/default-paths.ts';
import { fail, type Result, succeed } from '../result.ts';

export type Invocation =
  | { readonly command: 'help' | 'version' }
  | { readonly command: 'native-messaging'; readonly configurationPath: string }
  | {
      readonly command: 'enroll';
      readonly configurationPath: string;
      readonly brokerUrl?: string;
      readonly tokenFile?: string;
      readonly user?: string;
      readonly replace?: true;
      readonly verbose?: true;
      readonly localUser?: string;
    }
  | {
      readonly command: 'renew';
      readonly configurationPath: string;
      readonly ifDue: boolean;
      readonly rekey: boolean;
      readonly verbose?: true;
      readonly localUser?: string;
    }
  | {
      readonly command: 'schedule';
      readonly configurationPath: string;
      readonly remove: boolean;
      readonly localUser?: string;
    }
  | {
      readonly command: 'doctor' | 'status';
      readonly configurationPath: string;
      readonly json: boolean;
      readonly verbose?: true;
      readonly localUser?: string;
    }
  | {
      readonly command: 'uninstall';
      readonly configurationPath: string;
      readonly localUser?: string;
    };

const commands = [
  'enroll',
  'renew',
  'schedule',
  'status',
  'doctor',
  'uninstall',
  'native-messaging',
] as const;
type Command = (typeof commands)[number];

type Options = {
  readonly values: ReadonlyMap<string, string>;
  readonly flags: ReadonlySet<string>;
};

/** Options with a value, and flags, with the commands that take them. */
const valueOptions: Readonly<Record<string, readonly Command[]>> = {
  '--config': commands,
  '--broker': ['enroll'],
  '--token-file': ['enroll'],
  '--user': ['enroll'],
  '--local-user': commands.filter((command) => command !== 'native-messaging'),
};
const flagOptions: Readonly<Record<string, readonly Command[]>> = {
  '--json': ['status', 'doctor'],
  '--replace': ['enroll'],
  '--if-due': ['renew'],
  '--rekey': ['renew'],
  '--remove': ['schedule'],
  '--verbose': ['enroll', 'renew', 'doctor', 'status'],
};

/**
 * Reads the arguments that follow the program's own name. A browser's are recognized by their form: Chromium gives the
 * extension's origin first, Firefox the path of the host manifest. Errors repeat no argument, which may be a secret
 * in the wrong place.
 */
export function parseCommandLine(
  programArguments: readonly string[],
): Result<Invocation, 'usage_invalid'> {
  if (isStartedByBrowser(programArguments[0])) {
    return succeed({ command: 'native-messaging', configurationPath: defaultConfigurationPath() });
  }
  const values = new Map<string, string>();
  const flags = new Set<string>();
  let command: Command | undefined;
  const rest = [...programArguments];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === '--help' || argument === '-h') return succeed({ command: 'help' });
    if (argument === '--version') return succeed({ command: 'version' });
    if (argument.startsWith('-')) {
      const problem = takeOption(argument, rest, values, flags);
      if (problem !== undefined) return fail('usage_invalid', problem);
      continue;
    }
    if (command !== undefined) return fail('usage_invalid', `${command} takes no argument`);
    command = commands.find((known) => known === argument);
    if (command === undefined) return fail('usage_invalid', 'there is no such command');
    // What follows comes from the browser and means nothing here.
    if (command === 'native-messaging') break;
  }
  if (command === undefined) return fail('usage_invalid', 'the command is missing');
  return buildInvocation(command, { values, flags });
}

function isStartedByBrowser(first: string | undefined): boolean {
  if (first === undefined) return false;
  return (
    first.startsWith('chrome-extension://') ||
    (isAbsolute(first) && first.endsWith(`${nativeHostName}.json`))
  );
}

/** Takes one option off the line; what is wrong with it, or `undefined`. */
function takeOption(
  argument: string,
  rest: string[],
  values: Map<string, string>,
  flags: Set<string>,
): string | undefined {
  const equals = argument.indexOf('=');
  const name = equals === -1 ? argument : argument.slice(0, equals);
  if (name === '--token') {
    return 'an enrollment token never goes on the command line, where every process can read it';
  }
  if (Object.hasOwn(flagOptions, name) && equals === -1) {
    flags.add(name);
    return undefined;
  }
  if (!Object.hasOwn(valueOptions, name)) return 'there is no such option';
  const value = equals === -1 ? rest.shift() : argument.slice(equals + 1);
  if (value === undefined || value === '') return `${name} needs a value`;
  if (values.has(name)) return `${name} was given twice`;
  values.set(name, value);
  return undefined;
}

function buildInvocation(
  command: Command,
  { values, flags }: Options,
): Result<Invocation, 'usage_invalid'> {
  const misplaced = [...values.keys(), ...flags].find(
    (name) => !(valueOptions[name] ?? flagOptions[name])?.includes(command),
  );
  if (misplaced !== undefined) return fail('usage_invalid', `${command} takes no ${misplaced}`);
  const configurationPath = values.get('--config') ?? defaultConfigurationPath();
  if (!isAbsolute(configurationPath)) {
    return fail('usage_invalid', '--config must be an absolute path');
  }
  if (command === 'native-messaging') return succeed({ command, configurationPath });
  const localUser = values.get('--local-user');
  const common = { configurationPath, ...(localUser === undefined ? {} : { localUser }) };
  if (command === 'uninstall') return succeed({ command, ...common });
  if (command === 'schedule') {
    return succeed({ command, ...common, remove: flags.has('--remove') });
  }
  const verbose = flags.has('--verbose') ? { verbose: true as const } : {};
  if (command === 'status' || command === 'doctor') {
    return succeed({ command, ...common, ...verbose, json: flags.has('--json') });
  }
  if (command === 'renew') {
    const [ifDue, rekey] = [flags.has('--if-due'), flags.has('--rekey')];
    if (ifDue && rekey) return fail('usage_invalid', 'renew takes --if-due or --rekey, not both');
    return succeed({ command, ...common, ...verbose, ifDue, rekey });
  }
  const brokerUrl = values.get('--broker');
  const tokenFile = values.get('--token-file');
  const user = values.get('--user');
  return succeed({
    command,
    ...common,
    ...verbose,
    ...(brokerUrl === undefined ? {} : { brokerUrl }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(user === undefined ? {} : { user }),
    ...(flags.has('--replace') ? { replace: true as const } : {}),
  });
}
