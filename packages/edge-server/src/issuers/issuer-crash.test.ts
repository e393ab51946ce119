import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { verifyIssuedBy } from '@countersign/x509';
import { expect, it } from 'vitest';
import { issuerNames, readIssuers } from '../data-directory/issuers.ts';
import { parseOwnCertificate } from '../data-directory/make-certificates.ts';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { readP256Key } from '../data-directory/private-key.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { workerSettings } from '../worker-settings.ts';
import { issuerIdOf, sweepIssuerFiles } from './issuer-files.ts';
import { makeNewIssuer } from './prepare-issuer.ts';
import { removeIssuer } from './retire-issuer.ts';

const brokerUrl = 'http://127.0.0.1:8780';
const moduleUrl = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
/** Rolls the issuer over again and again, as fast as it can; every other one over a request that is signed apart. */
const roller = `
  const { readFileSync } = await import('node:fs');
  const { ensureDataDirectory } = await import(${moduleUrl('../data-directory/open-data-directory.ts')});
  const { readIssuers } = await import(${moduleUrl('../data-directory/issuers.ts')});
  const { importIssuerChain, makeNewIssuer, requestIssuer } = await import(${moduleUrl('./prepare-issuer.ts')});
  const { removeIssuer } = await import(${moduleUrl('./retire-issuer.ts')});
  const { signIssuerRequest } = await import(${moduleUrl('./sign-issuer-request.ts')});
  const { sweepIssuerFiles } = await import(${moduleUrl('./issuer-files.ts')});
  const data = await ensureDataDirectory(process.argv[1], { brokerUrl: '${brokerUrl}', nowMs: Date.now() });
  const rootKey = readFileSync(data.paths.privateKey('root'), 'utf8');
  for (let round = 0; ; round++) {
    if (readIssuers(data.paths).active.length === 1) {
      if (round % 4 < 2) await makeNewIssuer(data, Date.now());
      else {
        const { requestPem } = requestIssuer(data);
        const chain = await signIssuerRequest(requestPem, data.rootCertificatePem, rootKey, Date.now());
        await importIssuerChain(data, chain, Date.now());
      }
    } else sweepIssuerFiles(data.paths, removeIssuer(data, readIssuers(data.paths).active[0]));
    process.stdout.write('.');
  }
`;

/** Kills it `afterMs` after so many steps. */
async function killRoller(directory: string, steps: number, afterMs: number): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', roller, directory], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let taken = 0;
  child.stdout.on('data', (dots: Buffer) => {
    taken += dots.length;
  });
  while (taken < steps && child.exitCode === null) await sleep(1);
  await sleep(afterMs);
  expect(child.exitCode).toBe(null);
  child.kill('SIGKILL');
  await ended;
}

it('can be killed at any moment: the folder opens, with issuers that are whole, and the rollover goes on', async () => {
  const directory = join(temporaryDirectory(), 'data');
  const open = () => ensureDataDirectory(directory, { brokerUrl, nowMs: Date.now() });
  let { paths, certificatePem, rootCertificatePem } = await open();
  const root = parseOwnCertificate(rootCertificatePem);
  const seen = new Set<string>();
  for (const [round, afterMs] of [0, 1, 2, 3, 5, 7, 9, 12].entries()) {
    await killRoller(directory, 1 + (round % 3), afterMs);
    const data = await open();
    ({ paths, certificatePem } = data);
    const issuers = readIssuers(paths);
    for (const name of issuers.active) {
      const certificate = parseOwnCertificate(certificatePem(name));
      expect((await verifyIssuedBy(certificate, root, 'issuing-ca', Date.now())).ok).toBe(true);
      expect(readP256Key(paths.privateKey(name)).asymmetricKeyType).toBe('ec');
      expect(existsSync(paths.scepRaCertificate(name))).toBe(true);
      seen.add(issuerIdOf(readFileSync(paths.certificate(name), 'utf8')));
    }
    expect(workerSettings(data, brokerUrl, 'key set').texts.ISSUER_CERTIFICATE).toBe(
      certificatePem(issuers.active[0]),
    );
    // What was begun can be finished, and what was left over goes.
    if (issuers.active.length === 1) await makeNewIssuer(data, Date.now());
    else removeIssuer(data, issuers.active[0]);
    sweepIssuerFiles(paths, readIssuers(paths));
    for (const name of issuerNames(readIssuers(paths))) readP256Key(paths.privateKey(name));
  }
  expect(seen.size).toBeGreaterThan(4);
}, 60_000);
