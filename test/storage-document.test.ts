// storage-schema.md names every table, column, type, index and migration of the broker, and its hash chain computes.
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import {
  importModule,
  markedBlocks,
  nameIn,
  readDocument,
  tableRows,
} from './support/documents.ts';

const path = 'worker/docs/storage-schema.md';
const document = readDocument(path);
const rowsOf = (kind: string, about: string) =>
  tableRows(markedBlocks(document, kind).find((block) => block.about === about)?.lines ?? []);

const schemas = {
  DeviceObject: 'worker/src/device/device-schema.ts deviceMigrations',
  OrganizationObject: 'worker/src/directory/organization-schema.ts organizationMigrations',
  KeyObject: 'worker/src/enrollment/key-schema.ts keyMigrations',
  IntegrationObject: 'worker/src/integrations/integration-schema.ts integrationMigrations',
  RevocationObject: 'worker/src/revocation/revocation-schema.ts revocationMigrations',
  ReportObject: 'worker/src/audit/report-schema.ts reportMigrations',
} as const;

/** Made anew from what the others hold: nothing of them is exported, and no mark counts their changes. */
const rebuilt: readonly string[] = ['RevocationObject'];

const migrationList = z.array(z.object({ id: z.string(), sql: z.string() }));
async function readMigrations(schema: string) {
  const [file = '', name = ''] = schema.split(' ');
  return migrationList.parse((await importModule(file))[name]);
}

/** The database of a new object, made by the broker's own code. */
async function migratedDatabase(schema: string): Promise<DatabaseSync> {
  const database = new DatabaseSync(':memory:');
  const exec = (text: string, ...bindings: string[]) => {
    if (bindings.length > 0 || /^\s*SELECT/.test(text)) {
      const rows = database.prepare(text).all(...bindings);
      return { toArray: () => rows };
    }
    database.exec(text);
    return { toArray: () => [] };
  };
  const storage = { sql: { exec }, transactionSync: (block: () => unknown) => block() };
  const { migrate } = await importModule('worker/src/storage/migrations.ts');
  if (typeof migrate !== 'function') throw new TypeError('migrate() is a function');
  const migrations = await readMigrations(schema);
  expect(migrate(storage, migrations)).toEqual({
    ok: true,
    applied: migrations.map(({ id }) => id),
  });
  return database;
}

const tableInfo = z.array(
  z.object({ name: z.string(), type: z.string(), notnull: z.number(), pk: z.number() }),
);
function columnsOf(database: DatabaseSync, table: string): string[][] {
  const columns = tableInfo.parse(database.prepare(`PRAGMA table_info(${table})`).all());
  return columns.map(({ name, type, notnull, pk }) => {
    const rule = pk > 0 ? ', primary key' : notnull > 0 ? ', not null' : '';
    return [name, `${type}${rule}`];
  });
}

const masterRows = z.array(
  z.object({ type: z.string(), name: z.string(), sql: z.nullable(z.string()) }),
);
const objectsIn = (database: DatabaseSync, type: 'table' | 'index') =>
  masterRows
    .parse(database.prepare('SELECT type, name, sql FROM sqlite_master ORDER BY name').all())
    .filter((row) => row.type === type && row.sql !== null);

describe.each(Object.entries(schemas))('%s', (name, schema) => {
  it('has the tables and columns that the document names', async () => {
    const database = await migratedDatabase(schema);
    const tables = objectsIn(database, 'table').map((table) => table.name);
    const documented = markedBlocks(document, 'table')
      .map(({ about }) => about)
      .filter((about) => about.startsWith(`${schema} `))
      .map((about) => about.slice(schema.length + 1));
    // The table of migrations is in every object and described once.
    expect(new Set([...documented, 'schema_migrations'])).toEqual(new Set(tables));
    for (const table of documented) {
      const rows = rowsOf('table', `${schema} ${table}`);
      const columns = rows.map((cells) => [nameIn(cells[0]), cells[1]]);
      expect([table, columns]).toEqual([table, columnsOf(database, table)]);
    }
  });

  it('has the indexes that the document names', async () => {
    const database = await migratedDatabase(schema);
    const indexes = objectsIn(database, 'index').map(({ name: index, sql }) => {
      const [, unique, on, columns, where] =
        /^CREATE (UNIQUE )?INDEX \w+ ON (\w+) \(([^)]+)\)\s*(WHERE .+)?$/.exec(sql ?? '') ?? [];
      const only = where?.replace(/^WHERE /, '').replaceAll(/\s+/g, ' ');
      const rows = only?.endsWith(' IS NOT NULL') ? ', without NULL' : `, where \`${only}\``;
      const rules = `${unique ? ', unique' : ''}${only === undefined ? '' : rows}`;
      return [index, `\`${on} (${columns})\`${rules}`];
    });
    const rows = rowsOf('indexes', schema);
    expect(rows.map((cells) => [nameIn(cells[0]), cells[1]])).toEqual(indexes);
  });

  it('has the migrations that the document names', async () => {
    const ids = (await readMigrations(schema)).map(({ id }) => `\`${id}\``);
    const lines = document.slice(document.indexOf('<!-- migrations -->')).split('\n');
    const row = tableRows(lines).find((cells) => nameIn(cells[0]) === name);
    expect(row?.[1]).toBe(ids.join(', '));
  });

  it('is bound under the unique key that the document names', () => {
    const lines = document.slice(document.indexOf('<!-- objects -->')).split('\n');
    const row = tableRows(lines).find((cells) => nameIn(cells[0]) === name);
    const [, binding, uniqueKey] = (row ?? []).map(nameIn);
    const configuration = readDocument(
      'packages/edge-server/src/workerd/workerd-configuration.ts',
    ).replace(/\s+/g, ' ');
    expect(configuration).toMatch(
      new RegExp(`binding: '${binding}', className: '${name}', uniqueKey: '${uniqueKey}'`),
    );
    expect(readDocument('wrangler.toml')).toContain(`name = "${binding}"\nclass_name = "${name}"`);
  });
});

/** What the others hold is brought to them again; the document says how. */
const exportedObjects = ['DeviceObject', 'OrganizationObject', 'KeyObject'];

describe.each(Object.entries(schemas).filter(([name]) => exportedObjects.includes(name)))(
  '%s in an export',
  (name, schema) => {
    it('has every table exported, or left out on purpose', async () => {
      if (rebuilt.includes(name)) {
        expect(document.slice(document.indexOf('## Export and import'))).toContain(`| \`${name}\``);
        return;
      }
      const database = await migratedDatabase(schema);
      const tables = objectsIn(database, 'table').map((table) => table.name);
      const object = {
        DeviceObject: 'device',
        OrganizationObject: 'organization',
        KeyObject: 'key',
      };
      const { stateSections } = await importModule('packages/protocol/src/state.ts');
      const sections = z.record(z.string(), z.array(z.string())).parse(stateSections);
      const exported =
        sections[z.enum(['device', 'organization', 'key']).parse(Reflect.get(object, name))] ?? [];
      // Devices come with their certificates.
      const together = exported.includes('devices') ? ['certificates'] : [];
      const leftOut = ['changes', 'schema_migrations', 'pki_outbox', 'outbox_cursors'];
      const present = leftOut.filter((table) => tables.includes(table));
      expect(new Set([...exported, ...together, ...present])).toEqual(new Set(tables));
      const treated = tableRows(
        document.slice(document.indexOf('## Export and import')).split('\n'),
      ).flatMap((cells) => cells[0]?.match(/\w+/g) ?? []);
      expect(tables.filter((table) => !treated.includes(table))).toEqual([]);
    });

    it('has every change counted, but where another number shows it', async () => {
      if (rebuilt.includes(name)) return;
      const database = await migratedDatabase(schema);
      const shownOtherwise = [
        // By the sequence of decisions, and by certificate numbers.
        ...['decisions', 'devices', 'certificates after insert'],
        // Written by an import, whose own number shows it.
        ...['imports', 'chain_start', 'archived_chains', 'archived_decisions'],
        // By the organization's version.
        ...['settings', 'applications', 'clients'],
        // Written with a row of the organization's log, which is counted.
        ...['integrations', 'user_groups', 'group_members', 'admins', 'idempotency_keys'],
        ...['zones', 'zone_versions', 'policy_versions', 'access_versions'],
        ...['directory_users', 'directory_removals', 'group_changes'],
        // Come with a job; one that is lost is delivered again.
        'tombstone_deliveries',
        ...['changes', 'schema_migrations'],
        // Whoever lacks what they say is told, or brought, it again.
        ...['pki_outbox', 'outbox_cursors'],
        // A name is there or not.
        'integration_tombstones after update',
      ];
      const triggers = masterRows
        .parse(database.prepare('SELECT type, name, sql FROM sqlite_master').all())
        .filter(({ type }) => type === 'trigger')
        .map(({ sql }) => sql?.replace(/\s+/g, ' ') ?? '');
      const uncounted = objectsIn(database, 'table').flatMap((table) =>
        ['insert', 'update']
          .filter((event) => {
            const trigger = new RegExp(` AFTER ${event}( OF \\w+)? ON ${table.name} `, 'i');
            return !triggers.some((text) => trigger.test(text));
          })
          .map((event) => `${table.name} after ${event}`),
      );
      expect(
        uncounted.filter(
          (each) =>
            !shownOtherwise.some((name) => each === name || each.startsWith(`${name} after`)),
        ),
      ).toEqual([]);
    });
  },
);

it.each(Object.entries(schemas).filter(([name]) => !exportedObjects.includes(name)))(
  'says what becomes of %s in an import',
  (name) => {
    const page = document.slice(document.indexOf('## Export and import'));
    expect(tableRows(page.split('\n')).map((cells) => nameIn(cells[0]))).toContain(name);
  },
);

it('computes the worked example', () => {
  const script = document.slice(document.indexOf('<!-- chain -->'));
  const variable = (name: string) => new RegExp(`^${name}='?([^'\n]+)'?$`, 'm').exec(script)?.[1];
  const records = [variable('record_1'), variable('record_2')];
  let hash = Buffer.from(variable('hash_0') ?? '', 'base64url');
  expect(hash).toEqual(Buffer.alloc(32));
  const hashes = records.map((record = '') => {
    expect(JSON.parse(record)).toMatchObject({ v: 1, shard: 3 });
    hash = createHash('sha256').update(hash).update(record).digest();
    return `\`${hash.toString('base64url')}\``;
  });
  const [first, second] = hashes;
  expect(script).toContain(`It prints ${first} and ${second}`);
});
