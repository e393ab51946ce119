// `node worker/openapi/openapi-document.ts`: writes worker/docs/openapi.json anew, from the routes and the schemas of
// their messages. `openapi-document.test.ts` fails while it is out of date.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { problemDocument } from '@countersign/protocol/problem';
import * as z from 'zod/mini';
import type { AdminRoute } from '../src/http/for-admin.ts';
import { routes } from '../src/http/route-table.ts';
import { operations, schemaModules } from './openapi-operations.ts';
import type { Operation } from './operation.ts';

export const openapiPath = join(import.meta.dirname, '../docs/openapi.json');

/** Every schema by its name in the code, so that each is described once. */
const named = z.registry<{ id: string }>();
for (const module of schemaModules) {
  for (const [id, schema] of Object.entries(module)) {
    if (isSchema(schema) && !named.has(schema)) named.add(schema, { id });
  }
}

function isSchema(value: unknown): value is z.ZodMiniType {
  return value instanceof z.ZodMiniType;
}

type Io = 'input' | 'output';

/** What has a default may be left out of requests, and is in every answer: one schema has two descriptions. */
const componentName = (id: string, io: Io) => (io === 'input' ? `${id}_request` : id);

const componentsOf = (io: Io) =>
  z.toJSONSchema(named, {
    io,
    unrepresentable: 'any',
    uri: (id) => `#/components/schemas/${componentName(id, io)}`,
    // Members may be added to answers; who reads one knows what it knows.
    override: ({ jsonSchema }) => {
      if (io === 'output' && jsonSchema.additionalProperties === false) {
        delete jsonSchema.additionalProperties;
      }
    },
  }).schemas;
const components = { input: componentsOf('input'), output: componentsOf('output') };
const used = new Map<string, unknown>();

/** A reference to a schema, which is then described, with those that it refers to. */
function schemaOf(schema: z.ZodMiniType, io: Io): { readonly $ref: string } {
  const id = named.get(schema)?.id;
  if (id === undefined) throw new Error('a schema of an address is exported');
  return { $ref: use(id, io) };
}

function use(id: string, io: Io): string {
  const name = componentName(id, io);
  const reference = `#/components/schemas/${name}`;
  if (used.has(name)) return reference;
  const { $schema: _, $id: __, ...described } = components[io][id] ?? {};
  used.set(name, described);
  for (const [, other = ''] of JSON.stringify(described).matchAll(
    /"#\/components\/schemas\/([\w-]+)"/g,
  )) {
    use(io === 'input' ? other.replace(/_request$/, '') : other, io);
  }
  return reference;
}

const hasRule = (route: unknown): route is AdminRoute =>
  typeof route === 'function' && 'rule' in route;

/** A path of the router without its patterns: `/ocsp/:request{.+}` is `/ocsp/:request`. */
const plainPath = (path: string) => path.replaceAll(/\{[^}]*\}/g, '');

const pathParameters = (path: string) =>
  [...plainPath(path).matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));

function requestBody({ body, bodyType }: Operation) {
  if (body === undefined && bodyType === undefined) return {};
  const schema = body === undefined ? {} : { schema: schemaOf(body, 'input') };
  return {
    requestBody: { required: true, content: { [bodyType ?? 'application/json']: schema } },
  };
}

function responses({ answer, answerType, status = [200] }: Operation) {
  const media = answerType ?? (answer === undefined ? undefined : 'application/json');
  const content =
    media === undefined
      ? {}
      : {
          content: { [media]: answer === undefined ? {} : { schema: schemaOf(answer, 'output') } },
        };
  const success = status.map((each) => [
    String(each),
    { description: each === 202 ? 'Begun' : 'Done', ...content },
  ]);
  return { ...Object.fromEntries(success), default: { $ref: '#/components/responses/problem' } };
}

function describeOperation(method: string, path: string, route: unknown) {
  const operation = operations[`${method} ${plainPath(path)}`];
  if (operation === undefined) throw new Error(`${method} ${path} is not described`);
  const rule = hasRule(route) ? route.rule : undefined;
  const isOnce =
    method === 'POST' && rule !== undefined && rule.whileImporting !== true && !rule.isQuestion;
  const parameters = [
    ...pathParameters(path),
    ...Object.entries(operation.query ?? {}).map(([name, description]) => ({
      name,
      in: 'query',
      description,
      schema: { type: 'string' },
    })),
    ...(isOnce ? [{ $ref: '#/components/parameters/idempotencyKey' }] : []),
  ];
  return {
    summary: operation.summary,
    ...(rule === undefined
      ? { security: [] }
      : { security: [{ adminToken: [] }], 'x-permission': rule.permission }),
    ...(rule?.event === undefined ? {} : { 'x-event': rule.event }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...requestBody(operation),
    responses: responses(operation),
  };
}

/** The document (OpenAPI 3.1.1): the routes that there are, with the schemas that the code reads and writes by. */
export function openapiDocument() {
  const paths: Record<string, Record<string, unknown>> = {};
  const problem = schemaOf(problemDocument, 'output');
  for (const [method, path, route] of routes) {
    const place = plainPath(path).replaceAll(/:(\w+)/g, '{$1}');
    paths[place] ??= {};
    paths[place][method.toLowerCase()] = describeOperation(method, path, route);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Countersign broker',
      version: '1',
      description:
        'Generated from the code. Every refusal is a problem document with a stable `code`; PROTOCOL.md has their table. Below /scim refusals have the form of SCIM.',
    },
    paths,
    components: {
      schemas: Object.fromEntries([...used].toSorted(([one], [other]) => (one < other ? -1 : 1))),
      securitySchemes: {
        adminToken: {
          type: 'http',
          scheme: 'bearer',
          description: "The owner token, or an administrator's token (`cadm_…`).",
        },
      },
      parameters: {
        idempotencyKey: {
          name: 'Idempotency-Key',
          in: 'header',
          description: 'The same request with the same key happens once, within 24 hours.',
          schema: { type: 'string', pattern: '^[!-~]{1,128}$' },
        },
      },
      responses: {
        problem: {
          description: 'Refused (RFC 9457)',
          content: { 'application/problem+json': { schema: problem } },
        },
      },
    },
  };
}

export const openapiText = () => `${JSON.stringify(openapiDocument(), null, 2)}\n`;

if (import.meta.main) writeFileSync(openapiPath, openapiText());
