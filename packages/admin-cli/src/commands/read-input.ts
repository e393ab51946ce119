import { readFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { CommandError } from '../command-line/command.ts';

/** An answer of which nothing but its success is shown. */
export const anything = z.looseObject({});

/** A file that a parameter names; `-` is standard input. */
export function readTextFile(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new CommandError(`${path} cannot be read (${code})`);
  }
}

/** JSON, or `undefined`. */
export function parseLine(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The JSON object in a file; what is in it the broker checks, and names the field that is wrong. */
export function readJsonFile(path: string): object {
  let json: unknown;
  try {
    json = JSON.parse(readTextFile(path));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${path} is not JSON`);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new CommandError(`${path} is not a JSON object`);
  }
  return json;
}

export const segment = (text: string) => encodeURIComponent(text);

/** A secret alone in a file, without the end of its line. */
export function readSecretFile(path: string): string {
  const secret = readTextFile(path).replace(/\r?\n$/, '');
  if (secret === '') throw new CommandError(`${path} is empty`);
  return secret;
}
