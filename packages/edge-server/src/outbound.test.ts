import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseCommandLine } from './command-line.ts';
import { assertOptions } from './edge-server-options.ts';
import { readOutbound } from './outbound.ts';
import { getJsonFromSocket } from './testing/get-json-from-socket.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';
import { makeSocketDirectory } from './workerd/socket-directory.ts';
import { type OutboundNetwork, workerdConfigurationText } from './workerd/workerd-configuration.ts';
import { superviseWorkerd } from './workerd/workerd-supervisor.ts';

describe('outbound options', () => {
  it('are read from the command line', () => {
    const args = '--outbound-allow 10.0.0.0/8 --outbound-allow fd00::/8 --outbound-ca ca.pem';
    expect(parseCommandLine(args.split(' '), {})).toMatchObject({
      options: { outbound: { allow: ['10.0.0.0/8', 'fd00::/8'], authoritiesFile: 'ca.pem' } },
    });
  });

  it('are networks in CIDR notation', () => {
    const check = (...allow: string[]) =>
      assertOptions({ dataDirectory: '/d', outbound: { allow } });
    expect(() => check('10.0.0.0/8', '127.0.0.1/32', 'fd00::/8', '::1/128')).not.toThrow();
    for (const network of [
      '10.0.0.0',
      'private',
      '10.0.0.0/33',
      '::/129',
      '10.0/8',
      '1.2.3.4/-1',
      '',
    ]) {
      expect(() => check(network)).toThrow(
        expect.objectContaining({
          failure: 'setting_invalid',
          message: expect.stringContaining(`"${network}"`),
        }),
      );
    }
  });

  it('are certificates of authorities', () => {
    const file = join(temporaryDirectory(), 'ca.pem');
    const read = () => readOutbound({ authoritiesFile: file });
    expect(read).toThrow(expect.objectContaining({ failure: 'setting_invalid' }));
    for (const text of [
      '',
      'no pem',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
    ]) {
      writeFileSync(file, text);
      expect(read).toThrow(expect.objectContaining({ message: expect.stringContaining(file) }));
    }
  });
});

/** Starts a worker that tries to reach each of `urls`, and says which it reached. */
async function reachedFrom(urls: readonly string[], outbound: OutboundNetwork | undefined) {
  const directory = temporaryDirectory();
  const workerBundle = join(directory, 'worker.js');
  const { socket, remove } = makeSocketDirectory();
  onTestFinished(remove);
  const path = join(directory, 'workerd.capnp');
  const text = workerdConfigurationText({
    path,
    workerBundle,
    socket,
    durableObjects: directory,
    texts: {},
    keys: {},
    ...(outbound === undefined ? {} : { outbound }),
  });
  const objects = [...text.matchAll(/className = "(\w+)"/g)].map(
    ([, name]) => `export class ${name} extends DurableObject {}`,
  );
  writeFileSync(
    workerBundle,
    `import { DurableObject } from 'cloudflare:workers';
     ${objects.join('\n')}
     export default { async fetch(request) {
       if (new URL(request.url).pathname === '/healthz') return Response.json({ status: 'ok' });
       const reached = [];
       for (const url of ${JSON.stringify(urls)}) {
         await fetch(url).then(() => reached.push(url), () => undefined);
       }
       return Response.json(reached);
     } };`,
  );
  writeFileSync(path, text);
  const supervisor = await superviseWorkerd({
    configurationPath: path,
    socket,
    log: { write: () => undefined, passThrough: () => undefined },
    onProcess: () => undefined,
  });
  onTestFinished(() => supervisor.stop());
  return await getJsonFromSocket(socket);
}

describe("the broker's network", () => {
  it('#62 does not reach this machine, whatever its name or address is spelled like', async () => {
    let visits = 0;
    const canary = createServer((_, answer) => answer.end()).on('connection', () => {
      visits++;
    });
    const port = await listenOnFreePort(canary, '0.0.0.0');
    onTestFinished(() => {
      canary.closeAllConnections();
      canary.close();
    });
    // The last two are names that resolve to an address of this machine.
    const hosts = [
      '127.0.0.1',
      '127.1',
      '0.0.0.0',
      '2130706433',
      '[::ffff:127.0.0.1]',
      'localhost',
      hostname(),
    ];
    const urls = hosts.map((host) => new URL(`http://${host}:${port}/`).href);
    expect(await reachedFrom(urls, undefined)).toEqual([]);
    expect(await reachedFrom(urls, readOutbound())).toEqual([]);
    expect(visits).toBe(0);
    // What is opened is reached, by name as well, so that the canary lives.
    const open = await reachedFrom(urls, readOutbound({ allow: ['127.0.0.0/8'] }));
    expect(open).toEqual(expect.arrayContaining([urls[0], urls[5]]));
    expect(visits).toBeGreaterThan(0);
  });
});
