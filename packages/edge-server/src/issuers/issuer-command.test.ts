import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { takeFileLock } from '../data-directory/file-lock.ts';
import { readIssuers } from '../data-directory/issuers.ts';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { freePort } from '../testing/start-test-server.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { runIssuerCommand } from './issuer-command.ts';
import { issuerIdOf } from './issuer-files.ts';

const nowMs = Date.UTC(2026, 10, 21);

/** A broker elsewhere that knows these issuers; `asked` has what was asked of it. */
async function startBroker(ownerToken: string, issuerIds: () => readonly string[]) {
  const asked: string[] = [];
  const state = { inUse: false };
  const server = createServer((request, response) => {
    const { method, url = '', headers } = request;
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      const answer = (status: number, value: object) =>
        response
          .writeHead(status, { 'Content-Type': 'application/json' })
          .end(JSON.stringify(value));
      if (headers.authorization !== `Bearer ${ownerToken}`) return answer(401, {});
      const listed = issuerIds().map((issuer_id, index) => ({
        issuer_id,
        subject: 'MTLS Certificate Authority',
        not_after: '2036-11-18T00:00:00.000Z',
        standing: index === 0 ? 'issuing' : 'trusted',
        live_certificates: index,
      }));
      if (method === 'GET') return answer(200, { issuers: listed });
      asked.push(`${url} ${body}`);
      const [, id = '', action = ''] = /^\/v1\/admin\/issuers\/([^/]+)\/(\w+)$/.exec(url) ?? [];
      if (action === 'retire' && state.inUse) {
        return answer(409, {
          type: 'urn:countersign:problem:issuer_in_use',
          title: 'In use.',
          status: 409,
          code: 'issuer_in_use',
          user_text: 'In use.',
          detail: '3 certificates of it are good',
        });
      }
      const standing = action === 'retire' ? 'retired' : 'issuing';
      return answer(200, {
        issuer_id: id,
        standing,
        organization_version: 2,
        changed: true,
        complete_at: '2026-11-21T00:00:10.000Z',
      });
    });
  });
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${port}`, asked, state };
}

async function setUp() {
  const directory = join(temporaryDirectory(), 'data');
  const data = await ensureDataDirectory(directory, { brokerUrl: 'https://b.example', nowMs });
  const ids = () =>
    readIssuers(data.paths).active.map((name) => issuerIdOf(data.certificatePem(name)));
  const broker = await startBroker(data.ownerToken, ids);
  const where = ['--data', directory, '--broker-url', broker.url, '--cloudflare'];
  const run = async (...args: readonly string[]) => {
    const outcome = await runIssuerCommand([...args, ...where], {}, nowMs);
    return 'lines' in outcome ? outcome.lines.join('\n') : await outcome.secrets();
  };
  return { data, broker, run, directory, where: where.join(' ') };
}

describe('issuer, for a broker on Cloudflare', () => {
  it('prints the commands that come next, and the secrets of each step', async () => {
    const { data, broker, run, where, directory } = await setUp();
    const again = `countersign-server issuer %s --data ${directory} --broker-url ${broker.url} --cloudflare`;
    expect(where).toBe(again.slice(again.indexOf('--data')));
    const only = await run('secrets');
    expect(only).toMatchObject({
      ISSUER_CERTIFICATE: data.certificatePem('issuer'),
      SCEP_RA_KEY: readFileSync(data.paths.scepRaKey, 'utf8'),
      ISSUER_2_CERTIFICATE: null,
      ISSUER_2_KEY: null,
      SCEP_RA_2_CERTIFICATE: null,
    });
    const prepared = await run('new');
    expect(prepared).toContain(`${again.replace('%s', 'secrets')} | wrangler secret bulk`);
    expect(prepared).toContain(again.replace('%s', 'activate'));
    const both = await run('secrets');
    expect(both).toEqual({
      ...Object(only),
      ISSUER_2_CERTIFICATE: data.certificatePem('issuer-2'),
      ISSUER_2_KEY: expect.stringMatching(/^[A-Za-z0-9+/=]{100,}$/),
      SCEP_RA_2_CERTIFICATE: expect.stringContaining('BEGIN CERTIFICATE'),
    });
    const id = issuerIdOf(data.certificatePem('issuer-2'));
    expect(await run('activate')).toContain('New certificates are issued by issuer-2');
    expect(await run('status')).toContain(`issuer-2: trusted\n  id ${id}\n`);
    const first = issuerIdOf(data.certificatePem('issuer'));
    const second = Object(both).ISSUER_2_KEY;
    expect(await run('retire', '--issuer', 'issuer')).toContain('| wrangler secret bulk');
    expect(broker.asked).toEqual([
      `/v1/admin/issuers/${id}/activate {}`,
      `/v1/admin/issuers/${first}/retire {"override":false}`,
    ]);
    expect(existsSync(data.paths.privateKey('issuer'))).toBe(false);
    expect(await run('secrets')).toMatchObject({
      ISSUER_CERTIFICATE: data.certificatePem('issuer-2'),
      ISSUER_KEY: second,
      ISSUER_2_CERTIFICATE: null,
      ISSUER_2_KEY: null,
    });
  });

  it('keeps an issuer that something depends on, with its key', async () => {
    const { data, broker, run } = await setUp();
    await run('new');
    broker.state.inUse = true;
    await expect(run('retire', '--issuer', 'issuer')).rejects.toMatchObject({
      failure: 'broker_request_failed',
      message: expect.stringContaining('issuer_in_use: 3 certificates of it are good'),
    });
    expect(readIssuers(data.paths).active).toEqual(['issuer', 'issuer-2']);
    expect(existsSync(data.paths.privateKey('issuer'))).toBe(true);
  });
});

describe('issuer', () => {
  it.each([
    [[], 'must be followed by one of status, new'],
    [['roll'], 'must be followed by one of'],
    [['new', '--output', 'x'], 'issuer new knows no --output'],
    [['csr'], '--output is missing'],
    [['import'], '--input is missing'],
    [['import', '--input', '/nowhere'], '--input cannot be read'],
    [['sign', '--output', 'x'], '--input is missing'],
    [['retire'], '--issuer is missing'],
    [['retire', '--issuer', 'root'], 'must be a name like issuer-2'],
    [['activate', '--issuer', '../issuer'], 'must be a name like issuer-2'],
    [['status', 'now'], 'Unexpected argument'],
  ])('refuses %j', async (args, message) => {
    const { directory } = await setUp();
    const where = args.length === 0 ? [] : ['--data', directory];
    await expect(runIssuerCommand([...args, ...where], {}, nowMs)).rejects.toMatchObject({
      failure: 'setting_invalid',
      message: expect.stringContaining(message),
    });
  });

  it('needs the URL of a broker that runs elsewhere, and a data folder', async () => {
    const { directory } = await setUp();
    await expect(
      runIssuerCommand(['status', '--data', directory, '--cloudflare'], {}, nowMs),
    ).rejects.toMatchObject({ message: expect.stringContaining('--broker-url') });
    const nowhere = join(temporaryDirectory(), 'none');
    await expect(runIssuerCommand(['new', '--data', nowhere], {}, nowMs)).rejects.toMatchObject({
      failure: 'data_directory_unusable',
    });
    expect(existsSync(nowhere)).toBe(false);
  });

  it('refuses an issuer that is not there, and to end the only one', async () => {
    const { run } = await setUp();
    for (const [args, text] of [
      [['activate', '--issuer', 'issuer-7'], 'There is no issuer issuer-7'],
      [['retire', '--issuer', 'issuer-7'], 'There is no issuer issuer-7'],
      [['retire', '--issuer', 'issuer'], 'issuer is the only issuer'],
      [['discard'], 'No certificate is awaited'],
    ] as const) {
      await expect(run(...args)).rejects.toMatchObject({
        failure: 'issuer_refused',
        message: expect.stringContaining(text),
      });
    }
  });

  it('changes the issuers one command at a time', async () => {
    const { data, run } = await setUp();
    const release = takeFileLock(data.paths.issuersLock);
    await expect(run('new')).rejects.toMatchObject({
      failure: 'issuer_refused',
      message: expect.stringContaining('Another command'),
    });
    release?.();
    expect(await run('new')).toContain('issuer-2 is prepared');
  });

  it('says which one waits for its certificate', async () => {
    const { run } = await setUp();
    const request = join(temporaryDirectory(), 'issuer.csr');
    expect(await run('csr', '--output', request)).toContain('The request of issuer-2 is in');
    expect(await run('status')).toContain('issuer-2: its certificate is awaited');
    expect(await run('discard')).toBe('issuer-2 is given up.');
    expect(await run('status')).not.toContain('awaited');
  });
});
