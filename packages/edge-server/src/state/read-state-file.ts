import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import * as z from 'zod/mini';
import { EdgeServerError, errorText } from '../edge-server-error.ts';
import {
  type EndLine,
  endLine,
  firstAfter,
  type HeaderLine,
  hashOfLine,
  headerLine,
  type PageLine,
  pageLine,
} from './state-file.ts';

/** @throws EdgeServerError `state_file_invalid` with the number of the line */
export function invalidLine(path: string, line: number, why: string): EdgeServerError {
  return new EdgeServerError(
    'state_file_invalid',
    `${path}, line ${line}: ${why}. Nothing was imported.`,
  );
}

export type NumberedLine = { readonly number: number } & (
  | { readonly value: HeaderLine }
  | { readonly value: PageLine }
  | { readonly value: EndLine }
);

const typed = z.object({ type: z.enum(['header', 'page', 'end']) });
const lineSchemas = { header: headerLine, page: pageLine, end: endLine } as const;

/**
 * Reads an export line by line. Each line is checked for its form and against the one before; a file that is cut off,
 * put together, or changed ends with an error that names the line.
 *
 * @throws EdgeServerError `state_file_invalid`
 */
export async function* readStateFile(path: string): AsyncGenerator<NumberedLine, void, undefined> {
  const lines = createInterface({
    input: createReadStream(path),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  let number = 0;
  let after = firstAfter;
  let ended = false;
  try {
    for await (const text of lines) {
      number += 1;
      const refuse = (why: string) => invalidLine(path, number, why);
      if (ended) throw refuse('there is something after the end of the export');
      let json: unknown;
      try {
        json = JSON.parse(text);
      } catch {
        throw refuse('it is not JSON: the file is damaged or cut off here');
      }
      const type = z.safeParse(typed, json);
      if (!type.success) throw refuse('it is no line of an export');
      if ((type.data.type === 'header') !== (number === 1)) {
        throw refuse(
          number === 1 ? 'the export does not begin here' : 'another export begins here',
        );
      }
      const parsed = z.safeParse(lineSchemas[type.data.type], json);
      if (!parsed.success) {
        const issue = parsed.error.issues[0];
        const at = issue?.path.map(String).join('.') ?? '';
        throw refuse(`"${at}" is wrong, or of another version of Countersign`);
      }
      if (parsed.data.after !== after) {
        throw refuse(
          'it does not follow the line before: one of both was changed, or lines are missing',
        );
      }
      after = hashOfLine(text);
      ended = parsed.data.type === 'end';
      yield { number, value: parsed.data } as NumberedLine;
    }
  } catch (error) {
    if (error instanceof EdgeServerError) throw error;
    throw new EdgeServerError('state_file_invalid', `${path} cannot be read: ${errorText(error)}.`);
  } finally {
    lines.close();
  }
  if (number === 0) throw new EdgeServerError('state_file_invalid', `${path} is empty.`);
  if (!ended) throw invalidLine(path, number, 'the file ends here, before the end of the export');
}

/** Follows a chain of decisions row by row. */
export class ChainCheck {
  readonly #watched: number;
  #hash: Buffer;
  #hashAtWatched: string | undefined;
  #count = 0;
  #broken: number | undefined;

  /**
   * @param start what the chain begins with after an import; usually nothing
   * @param watched number of a row whose hash is wanted
   */
  constructor(start: string | null, watched = 0) {
    this.#watched = watched;
    this.#hash =
      start === null ? Buffer.alloc(32) : createHash('sha256').update(start, 'utf8').digest();
  }

  add(sequence: number, record: string, hash: string): void {
    this.#count += 1;
    this.#hash = createHash('sha256').update(this.#hash).update(record, 'utf8').digest();
    if (sequence !== this.#count || this.#hash.toString('base64url') !== hash) {
      this.#broken ??= sequence;
    }
    if (sequence === this.#watched) this.#hashAtWatched = hash;
  }

  /** The hash on record in the watched row. */
  hashAtWatched(): string | undefined {
    return this.#hashAtWatched;
  }

  /** The first row that does not fit; `undefined` when all do, up to this head. */
  brokenAt(head: { readonly count: number; readonly hash: string }): number | undefined {
    if (this.#broken !== undefined) return this.#broken;
    if (this.#count < head.count) return this.#count + 1;
    return head.hash === this.#hash.toString('base64url') ? undefined : head.count;
  }
}
