import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { findFreePort } from '../support/free-port.ts';
import { startProcess, waitUntilReady } from './child-process.ts';
import type { DirectWorkerd } from './workerd-direct.ts';

const run = promisify(execFile);

/** Tables as cfssl's own migrations for SQLite make them (cloudflare/cfssl, certdb/sqlite/migrations). */
const tables = `
  CREATE TABLE certificates (
    serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob,
    status blob NOT NULL, reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
    PRIMARY KEY (serial_number, authority_key_identifier));
  CREATE TABLE ocsp_responses (
    serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, body blob NOT NULL,
    expiry timestamp, PRIMARY KEY (serial_number, authority_key_identifier));`;

/** `cfssl serve` with a P-256 authority and its SQLite database: the peer for durable issuance. */
export async function startCfssl(directory: string): Promise<DirectWorkerd> {
  const path = (name: string) => join(directory, name);
  const database = new DatabaseSync(path('certs.db'));
  database.exec(tables);
  database.close();
  writeFileSync(
    path('db.json'),
    JSON.stringify({ driver: 'sqlite3', data_source: path('certs.db') }),
  );
  writeFileSync(
    path('config.json'),
    JSON.stringify({ signing: { default: { usages: ['client auth'], expiry: '8760h' } } }),
  );
  await run('openssl', [
    ...['ecparam', '-genkey', '-noout', '-name', 'prime256v1'],
    ...['-out', path('ca-key.pem')],
  ]);
  await run('openssl', [
    ...['req', '-x509', '-new', '-key', path('ca-key.pem'), '-subj', '/CN=Peer', '-days', '30'],
    ...['-out', path('ca.pem')],
  ]);
  const port = await findFreePort();
  const child = startProcess(
    'cfssl',
    [
      ...['serve', '-address', '127.0.0.1', '-port', String(port), '-loglevel', '3'],
      ...['-ca', path('ca.pem'), '-ca-key', path('ca-key.pem')],
      ...['-config', path('config.json'), '-db-config', path('db.json')],
    ],
    { stderr: 'ignore' },
  );
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(`${url}/api/v1/cfssl/info`, child, () => true);
  return { url, port, pid: child.pid, stop: child.stop };
}
