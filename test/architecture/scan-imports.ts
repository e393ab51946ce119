// Every way in which a module names another one, found by a real parser.
import { parseSync } from 'vite';

export type ImportStatement = {
  /** As written: `./a.ts`, `@countersign/protocol`, `node:fs`. */
  specifier: string;
  /** From 1. */
  line: number;
  /** The whole statement is erased before the code runs. */
  typeOnly: boolean;
};

/**
 * Static and dynamic imports, re-exports, import types and `require`, in the order of the text.
 * Throws on a syntax error, and on an `import()` or `require()` whose argument is not a plain string.
 */
export function scanImports(path: string, text: string): ImportStatement[] {
  const { program, errors } = parseSync(path, text);
  const error = errors[0];
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  const found: ImportStatement[] = [];
  visit(program, (node) => {
    const statement = statementOf(node);
    if (statement === undefined) return;
    const line = text.slice(0, Number(node.start)).split('\n').length;
    if (statement.specifier === undefined) {
      throw new Error(`${path}:${line}: an import whose argument is not a plain string`);
    }
    found.push({ specifier: statement.specifier, typeOnly: statement.typeOnly, line });
  });
  return found;
}

type Node = Record<string, unknown>;

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null;

function visit(node: object, see: (node: Node) => void): void {
  if (isNode(node) && typeof node.type === 'string') see(node);
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) for (const each of value) isNode(each) && visit(each, see);
    else if (isNode(value)) visit(value, see);
  }
}

function statementOf(node: Node): { specifier: string | undefined; typeOnly: boolean } | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
      return { specifier: stringOf(node.source), typeOnly: node.importKind === 'type' };
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      if (!isNode(node.source)) return undefined;
      return { specifier: stringOf(node.source), typeOnly: node.exportKind === 'type' };
    case 'ImportExpression':
      return { specifier: stringOf(node.source), typeOnly: false };
    case 'TSImportType':
      return { specifier: stringOf(node.source ?? node.argument), typeOnly: true };
    case 'CallExpression':
      if (!isNode(node.callee) || node.callee.name !== 'require') return undefined;
      return {
        specifier: stringOf(Array.isArray(node.arguments) ? node.arguments[0] : undefined),
        typeOnly: false,
      };
    default:
      return undefined;
  }
}

/** The value of a string literal. */
function stringOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === 'TSLiteralType') return stringOf(node.literal);
  return typeof node.value === 'string' ? node.value : undefined;
}
