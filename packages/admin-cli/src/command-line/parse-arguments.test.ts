import { describe, expect, it } from 'vitest';
import { commands } from '../commands/index.ts';
import { type Command, UsageError } from './command.ts';
import { globalOptions, parseArguments } from './parse-arguments.ts';

const run = async () => ({ json: {}, sections: [] });
const sample: readonly Command[] = [
  { words: ['log'], help: 'A.', routes: [], run },
  {
    words: ['log', 'show'],
    parameters: ['NAME'],
    options: { '--from': { value: 'WHERE', help: '' }, '--all': { help: '' } },
    help: 'B.',
    routes: [],
    run,
  },
];
const parse = (...args: string[]) => parseArguments(sample, args);

describe('a command line', () => {
  it('takes the longest command that fits, and options wherever they stand', () => {
    const { command, input, json, broker } = parse(
      ...['--json', 'log', '--from', 'a', 'show', '--broker=https://x.example', 'it', '--all'],
    );
    expect(command?.words).toEqual(['log', 'show']);
    expect(input.parameters).toEqual(['it']);
    expect([input.option('--from'), input.flag('--all'), json, broker]).toEqual([
      'a',
      true,
      true,
      'https://x.example',
    ]);
    expect(parse('log').command?.help).toBe('A.');
  });

  it('gives help for nothing, and for a command whose parameters are missing', () => {
    expect(parse()).toMatchObject({ help: true, command: undefined });
    expect(parse('log', 'show', '--help')).toMatchObject({ help: true });
    expect(parse('log', 'show', '--help').command?.help).toBe('B.');
    expect(parse().helpedCommands.length).toBeGreaterThan(1);
    expect(parse('nothing', '--help').helpedCommands).toEqual(parse().helpedCommands);
  });

  it.each<[said: string, ...args: string[]]>([
    ['there is no such command', 'logs'],
    ['NAME is missing', 'log', 'show'],
    ['log show takes NAME, and no more', 'log', 'show', 'a', 'b'],
    ['there is no option --form', 'log', 'show', 'a', '--form', 'x'],
    ['--from needs a value', 'log', 'show', 'a', '--from'],
    ['--from needs a value', 'log', 'show', 'a', '--from='],
    ['--all takes no value', 'log', 'show', 'a', '--all=yes'],
    ['--all was given twice', 'log', 'show', 'a', '--all', '--all'],
    ['log takes no --all', 'log', '--all'],
  ])('is refused: %s', (said, ...args) => {
    expect(() => parse(...args)).toThrow(new UsageError(said));
  });

  it('takes no token, and repeats none', () => {
    for (const args of [['--token', 'cadm_secret'], ['--token=cadm_secret']]) {
      expect(() => parse('log', ...args)).toThrow(/never goes on the command line/);
    }
    expect(() => parse('cadm_secret')).toThrow(/^there is no such command$/);
  });
});

describe('the commands', () => {
  const names = commands.map(({ words }) => words.join(' '));

  it('have names of their own, and none hides in the parameters of another', () => {
    expect(new Set(names).size).toBe(names.length);
    for (const { words, parameters = [] } of commands) {
      const longer = names.filter((name) => name.startsWith(`${words.join(' ')} `));
      expect(parameters.length === 0 || longer.length === 0, words.join(' ')).toBe(true);
    }
  });

  it('have options that mean a value, or none, in all of them alike', () => {
    const takesValue = new Map<string, boolean>();
    for (const { options = {}, words } of commands) {
      for (const [name, { value }] of Object.entries(options)) {
        expect(Object.hasOwn(globalOptions, name), `${words.join(' ')} ${name}`).toBe(false);
        const before = takesValue.get(name) ?? value !== undefined;
        expect(value !== undefined, `${words.join(' ')} ${name}`).toBe(before);
        takesValue.set(name, before);
      }
    }
  });

  it('have a help that is a sentence', () => {
    for (const { help } of commands) expect(help).toMatch(/^[A-Z].*\.$/);
  });
});
