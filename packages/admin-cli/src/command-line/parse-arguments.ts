import { type Command, type Input, type Option, UsageError } from './command.ts';

/** Options that every command takes. */
export const globalOptions: Readonly<Record<string, Option>> = {
  '--broker': { value: 'URL', help: 'the broker; else COUNTERSIGN_BROKER_URL' },
  '--token-file': {
    value: 'FILE',
    help: 'file with your token; else the token itself in COUNTERSIGN_ADMIN_TOKEN',
  },
  '--json': { help: 'the whole answer as JSON, for scripts' },
  '--help': { help: 'this text, or that of a command' },
};

export type Invocation = {
  /** `undefined`: general help. */
  readonly command: Command | undefined;
  /** What general help is about: the commands of the noun that was given, or all. */
  readonly helpedCommands: readonly Command[];
  readonly help: boolean;
  readonly json: boolean;
  readonly broker: string | undefined;
  readonly tokenFile: string | undefined;
  readonly input: Input;
};

/** Takes the words of a command off the front; the longest command that fits. */
function findCommand(
  commands: readonly Command[],
  words: readonly string[],
): { readonly command: Command; readonly parameters: readonly string[] } | undefined {
  const fitting = commands
    .filter((command) => command.words.every((word, index) => words[index] === word))
    .sort((one, other) => other.words.length - one.words.length);
  const [command] = fitting;
  return command === undefined
    ? undefined
    : { command, parameters: words.slice(command.words.length) };
}

/** The command that somebody meant, whatever is wrong with what they wrote behind it. */
export const findMeant = (
  commands: readonly Command[],
  programArguments: readonly string[],
): Command | undefined =>
  findCommand(
    commands,
    programArguments.filter((argument) => !argument.startsWith('--')),
  )?.command;

/**
 * Reads the arguments that follow the program's own name. Options may stand anywhere, `--name value` or
 * `--name=value`. Errors repeat no value, which may be a secret in the wrong place.
 *
 * @throws UsageError for whatever does not fit
 */
export function parseArguments(
  commands: readonly Command[],
  programArguments: readonly string[],
): Invocation {
  const words: string[] = [];
  const given: [string, string | undefined][] = [];
  const known = new Map(
    [globalOptions, ...commands.map(({ options = {} }) => options)].flatMap(Object.entries<Option>),
  );
  const rest = [...programArguments];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (!argument.startsWith('--')) {
      words.push(argument);
      continue;
    }
    const equals = argument.indexOf('=');
    const name = equals === -1 ? argument : argument.slice(0, equals);
    if (name === '--token') {
      throw new UsageError(
        'a token never goes on the command line, where every process can read it',
      );
    }
    const option = known.get(name);
    if (option === undefined) throw new UsageError(`there is no option ${name}`);
    if (given.some(([other]) => other === name)) throw new UsageError(`${name} was given twice`);
    if (option.value === undefined) {
      if (equals !== -1) throw new UsageError(`${name} takes no value`);
      given.push([name, undefined]);
      continue;
    }
    const value = equals === -1 ? rest.shift() : argument.slice(equals + 1);
    if (value === undefined || value === '') throw new UsageError(`${name} needs a value`);
    given.push([name, value]);
  }
  const options = new Map(given);
  const found = findCommand(commands, words);
  const help = options.has('--help') || words.length === 0;
  if (found === undefined && !help) throw new UsageError('there is no such command');
  if (found !== undefined && !help) checkArguments(found.command, found.parameters, options);
  const ofNoun = commands.filter((command) =>
    words.every((word, index) => command.words[index] === word),
  );
  return {
    command: found?.command,
    helpedCommands: ofNoun.length === 0 ? commands : ofNoun,
    help,
    json: options.has('--json'),
    broker: options.get('--broker'),
    tokenFile: options.get('--token-file'),
    input: {
      parameters: found?.parameters ?? [],
      option: (name) => options.get(name),
      flag: (name) => options.has(name),
    },
  };
}

function checkArguments(
  { words, parameters = [], options: own = {} }: Command,
  given: readonly string[],
  options: ReadonlyMap<string, string | undefined>,
): void {
  const misplaced = [...options.keys()].find(
    (name) => !Object.hasOwn(own, name) && !Object.hasOwn(globalOptions, name),
  );
  if (misplaced !== undefined) throw new UsageError(`${words.join(' ')} takes no ${misplaced}`);
  if (given.length < parameters.length) {
    throw new UsageError(`${parameters[given.length]} is missing`);
  }
  if (given.length > parameters.length) {
    const taken = parameters.length === 0 ? 'nothing' : parameters.join(' and ');
    throw new UsageError(`${words.join(' ')} takes ${taken}, and no more`);
  }
}
