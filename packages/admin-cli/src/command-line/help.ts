import type { Command, Option } from './command.ts';
import { globalOptions } from './parse-arguments.ts';

export const program = 'countersign-admin';

const optionWord = (name: string, { value }: Option) =>
  value === undefined ? name : `${name} ${value}`;

/** How a command is called, without what every command takes. */
export function usageOf({ words, parameters = [], options = {} }: Command): string {
  const optionWords = Object.entries(options).map(
    ([name, option]) => `[${optionWord(name, option)}]`,
  );
  return [program, ...words, ...parameters, ...optionWords].join(' ');
}

function describeOptions(options: Readonly<Record<string, Option>>): string[] {
  return Object.entries(options).map(
    ([name, option]) => `  ${optionWord(name, option).padEnd(24)} ${option.help}`,
  );
}

export function commandHelp(command: Command): string {
  const { options = {}, help } = command;
  return [
    `${usageOf(command)}`,
    '',
    help,
    ...(Object.keys(options).length === 0 ? [] : ['', ...describeOptions(options)]),
    '',
    'With every command:',
    ...describeOptions(globalOptions),
    '',
  ].join('\n');
}

export function generalHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ words }) => words.join(' ').length));
  return [
    `${program}: administers a Countersign broker`,
    '',
    ...commands.map(({ words, help }) => {
      const [first = ''] = help.split('. ');
      return `  ${words.join(' ').padEnd(width)}  ${first.replace(/\.$/, '')}`;
    }),
    '',
    'With every command:',
    ...describeOptions(globalOptions),
    '',
    `\`${program} COMMAND --help\` says more. Exit codes: 0 done, 1 refused or failed, 2 wrong command line, 3 worth trying`,
    'again later.',
    '',
  ].join('\n');
}
