import type { AdminClient } from '../client/admin-client.ts';

/** An option of a command. Without `value` it is a flag; `value` is its placeholder in the help. */
export type Option = { readonly value?: string; readonly help: string };

/** What a command shows to people: lines, label and value side by side, or a table. */
export type Section =
  | { readonly kind: 'lines'; readonly lines: readonly string[] }
  | { readonly kind: 'rows'; readonly rows: ReadonlyArray<readonly [string, string]> }
  | {
      readonly kind: 'table';
      /** The widest column comes last. */
      readonly columns: readonly string[];
      readonly rows: ReadonlyArray<readonly string[]>;
      readonly whenEmpty: string;
    };

export type Shown = {
  /** The whole answer, for `--json`. */
  readonly json: unknown;
  readonly sections: readonly Section[];
  /** True when something was found that somebody must look at: exit code 1. */
  readonly failed?: true;
};

/** A wrong command line: told with the usage of the command, exit code 2. */
export class UsageError extends Error {}

/** What a command could not do, in words: exit code 1. */
export class CommandError extends Error {}

/** The arguments of one command, as given. */
export type Input = {
  readonly parameters: readonly string[];
  /** The value of an option that was given. */
  readonly option: (name: string) => string | undefined;
  readonly flag: (name: string) => boolean;
};

export type Context = {
  /** Asks the broker; throws `UsageError` where no broker or token is named. */
  readonly client: () => AdminClient;
  /** Origin of the broker, where one is named. */
  readonly broker: string | undefined;
  /** The administrator's token; throws `UsageError` where none is named. */
  readonly token: () => string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Private keys are not for a terminal. */
  readonly isTerminal: boolean;
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Tells how it goes on, beside the answer. */
  readonly progress: (line: string) => void;
};

export type Command = {
  readonly words: readonly string[];
  /** Names of what must follow. */
  readonly parameters?: readonly string[];
  readonly options?: Readonly<Record<string, Option>>;
  readonly help: string;
  /** Addresses of the admin API that it asks, as in the broker's table of routes. */
  readonly routes: readonly string[];
  readonly run: (context: Context, input: Input) => Promise<Shown>;
};

export const lines = (...text: string[]): Section => ({ kind: 'lines', lines: text });

/** Label and value, without those that are not there. */
export const rows = (...pairs: ReadonlyArray<readonly [string, string | undefined]>): Section => ({
  kind: 'rows',
  rows: pairs.flatMap(([label, value]) => (value === undefined ? [] : [[label, value] as const])),
});

export const table = (
  columns: readonly string[],
  tableRows: ReadonlyArray<readonly string[]>,
  whenEmpty = 'There are none.',
): Section => ({ kind: 'table', columns, rows: tableRows, whenEmpty });

/** One of the parameters that the command line is known to have. */
export function parameterOf(input: Input, index: number): string {
  const value = input.parameters[index];
  if (value === undefined) throw new UsageError('a parameter is missing');
  return value;
}

/** An option that must be there. */
export function required(input: Input, name: string): string {
  const value = input.option(name);
  if (value === undefined) throw new UsageError(`${name} is missing`);
  return value;
}

/** A whole number, when the option is given. */
export function wholeNumber(input: Input, name: string): number | undefined {
  const value = input.option(name);
  if (value === undefined) return undefined;
  if (!/^\d{1,12}$/.test(value)) throw new UsageError(`${name} must be a whole number`);
  return Number(value);
}

/** Only members that are there. */
export function present<Value>(members: Readonly<Record<string, Value | undefined>>) {
  return Object.fromEntries(
    Object.entries(members).filter((entry): entry is [string, Value] => entry[1] !== undefined),
  );
}
