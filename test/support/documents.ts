import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as z from 'zod/mini';

export const repositoryTop = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export function readDocument(path: string): string {
  return readFileSync(join(repositoryTop, path), 'utf8');
}

/**
 * A module of the repository by its path. Loaded by name alone, because what the worker exports is typed for another
 * runtime; callers check what they take out of it.
 */
export async function importModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  return await import(/* @vite-ignore */ pathToFileURL(join(repositoryTop, path)).href);
}

export type MarkedBlock = {
  /** What stands in the marker after its kind: `<!-- members: FILE EXPORT -->`. */
  readonly about: string;
  readonly line: number;
  /** The lines after the marker, up to the first blank one. */
  readonly lines: readonly string[];
};

/** The blocks of a document that follow a marker of this kind. */
export function markedBlocks(markdown: string, kind: string): MarkedBlock[] {
  const lines = markdown.split('\n');
  const marker = new RegExp(`^<!-- ${kind}: (.+) -->$`);
  return lines.flatMap((line, index) => {
    const about = marker.exec(line)?.[1];
    if (about === undefined) return [];
    const rest = lines.slice(index + 1);
    const end = rest.findIndex((text) => text === '' || text === '<!-- end -->');
    return [{ about, line: index + 1, lines: end === -1 ? rest : rest.slice(0, end) }];
  });
}

/** Rows of a table without its header: the cells of each, without white space around them. */
export function tableRows(lines: readonly string[]): string[][] {
  return lines
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .slice(1, line.lastIndexOf('|'))
        .split(/(?<!\\)\|/)
        .map((text) => text.trim()),
    );
}

/** `name` out of a cell that says so in code style. */
export function nameIn(cell: string | undefined): string {
  return /^`([^`]+)`/.exec(cell ?? '')?.[1] ?? '';
}

export type SchemaMember = {
  /** Dotted; `keys[].kid` is a member of the objects in the array `keys`. */
  readonly path: string;
  readonly optional: boolean;
};

const schemaDefinition = z.looseObject({ type: z.string() });
type Definition = z.infer<typeof schemaDefinition>;

function definitionOf(schema: unknown): Definition {
  return schemaDefinition.parse(Object(Object(schema)._zod).def);
}

/** Every member of an object schema, those of objects within it included. */
export function membersOf(schema: unknown, prefix = ''): SchemaMember[] {
  const definition = definitionOf(schema);
  switch (definition.type) {
    case 'object':
      return Object.entries(Object(definition.shape)).flatMap(([name, member]) => {
        const path = prefix === '' ? name : `${prefix}.${name}`;
        const { inner, optional } = withoutOptional(member);
        return [{ path, optional }, ...membersOf(inner, path)];
      });
    case 'array':
      return membersOf(definition.element, `${prefix}[]`);
    case 'union': {
      const options = Array.isArray(definition.options) ? definition.options : [];
      return mergeOptions(options.map((option) => membersOf(option, prefix)));
    }
    default:
      return [];
  }
}

function withoutOptional(schema: unknown): { inner: unknown; optional: boolean } {
  const definition = definitionOf(schema);
  return definition.type === 'optional' || definition.type === 'default'
    ? { inner: definition.innerType, optional: true }
    : { inner: schema, optional: false };
}

/** What only some options of a union have is optional. */
function mergeOptions(options: readonly SchemaMember[][]): SchemaMember[] {
  const paths = new Set(options.flat().map(({ path }) => path));
  return [...paths].map((path) => ({
    path,
    optional: !options.every((members) =>
      members.some((member) => member.path === path && !member.optional),
    ),
  }));
}

/** The paths of a JSON value, in the spelling of `membersOf`. */
export function pathsOf(value: unknown, prefix = ''): string[] {
  if (Array.isArray(value)) {
    return [...new Set(value.flatMap((element) => pathsOf(element, `${prefix}[]`)))];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    return [path, ...pathsOf(member, path)];
  });
}
