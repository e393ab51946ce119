// worker/docs/openapi.json is what the code makes of its routes and schemas, and leaves no address out.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { routes } from '../src/http/route-table.ts';
import { openapiDocument, openapiPath, openapiText } from './openapi-document.ts';
import { operations } from './openapi-operations.ts';

const documentShape = z.object({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.looseObject({ security: z.array(z.unknown()) })),
  ),
});

describe('the OpenAPI document', () => {
  it('is that of the code; otherwise run: node worker/openapi/openapi-document.ts', () => {
    expect(readFileSync(openapiPath, 'utf8').split('\n')).toEqual(openapiText().split('\n'));
  });

  it('has every address, and no other', () => {
    const { paths } = documentShape.parse(JSON.parse(readFileSync(openapiPath, 'utf8')));
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const known = routes.map(
      ([method, path]) =>
        `${method} ${path.replaceAll(/\{[^}]*\}/g, '').replaceAll(/:(\w+)/g, '{$1}')}`,
    );
    expect(new Set(documented)).toEqual(new Set(known));
    expect(Object.keys(operations)).toHaveLength(new Set(known).size);
  });

  it('asks for a token where, and only where, the code does', () => {
    const { paths } = documentShape.parse(openapiDocument());
    for (const [path, methods] of Object.entries(paths)) {
      for (const { security } of Object.values(methods)) {
        expect([path, security.length]).toEqual([path, /^\/(v1\/admin|scim)\//.test(path) ? 1 : 0]);
      }
    }
  });
});
