import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readIssuers } from '../data-directory/issuers.ts';
import {
  makeIssuerCertificate,
  makeKeySetSignerCertificate,
  makeRootCertificate,
} from '../data-directory/make-certificates.ts';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { newP256Key } from '../data-directory/private-key.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { workerSettings } from '../worker-settings.ts';
import { sweepIssuerFiles } from './issuer-files.ts';
import { importIssuerChain, makeNewIssuer, requestIssuer } from './prepare-issuer.ts';
import { discardIssuerRequest, removeIssuer } from './retire-issuer.ts';
import { signIssuerRequest } from './sign-issuer-request.ts';

const nowMs = Date.UTC(2026, 10, 21);
const brokerUrl = 'http://127.0.0.1:8780';

async function folder() {
  const directory = join(temporaryDirectory(), 'data');
  return await ensureDataDirectory(directory, { brokerUrl, nowMs });
}
type Folder = Awaited<ReturnType<typeof folder>>;

const refused = (text: string) => ({
  failure: 'issuer_refused',
  message: expect.stringContaining(text),
});
const filesOf = ({ paths }: Folder) => [
  ...readdirSync(paths.keys),
  ...readdirSync(paths.certificates),
];

/** What OpenSSL says of this text. */
function openssl(args: readonly string[], files: Readonly<Record<string, string>>): string {
  const place = temporaryDirectory();
  for (const [name, content] of Object.entries(files)) writeFileSync(join(place, name), content);
  return execFileSync('openssl', args, {
    cwd: place,
    encoding: 'utf8',
    stdio: 'pipe',
    timeout: 20_000,
  });
}

/** A root that is kept elsewhere. */
function takeRootAway(data: Folder): string {
  const elsewhere = join(temporaryDirectory(), 'root.pem');
  renameSync(data.paths.privateKey('root'), elsewhere);
  return readFileSync(elsewhere, 'utf8');
}

describe('a second issuer', () => {
  it('is under the root, has the name of the first, and comes with a certificate for SCEP', async () => {
    const data = await folder();
    const made = await makeNewIssuer(data, nowMs);
    expect(made.name).toBe('issuer-2');
    expect(readIssuers(data.paths)).toEqual({
      active: ['issuer', 'issuer-2'],
      requested: undefined,
      next: 3,
    });
    const [first, second] = [data.certificatePem('issuer'), data.certificatePem('issuer-2')];
    expect(new X509Certificate(second).subject).toBe(new X509Certificate(first).subject);
    const key = createPublicKey(data.privateKey('issuer-2'));
    expect(new X509Certificate(second).publicKey.equals(key)).toBe(true);
    const scep = readFileSync(data.paths.scepRaCertificate('issuer-2'), 'utf8');
    const attime = ['-attime', String(nowMs / 1000)];
    expect(
      openssl(
        ['verify', ...attime, '-x509_strict', '-CAfile', 'root', '-untrusted', 'issuers', 'scep'],
        {
          root: data.rootCertificatePem,
          issuers: `${first}${second}`,
          scep,
        },
      ),
    ).toBe('scep: OK\n');

    const again = await ensureDataDirectory(data.directory, { brokerUrl, nowMs });
    const settings = workerSettings(again, brokerUrl, 'key set');
    expect(settings.texts).toMatchObject({
      ISSUER_CERTIFICATE: first,
      ISSUER_2_CERTIFICATE: second,
      SCEP_RA_2_CERTIFICATE: scep,
    });
    expect(settings.keys.ISSUER_2_KEY?.file).toBe(data.paths.privateKey('issuer-2'));
    await expect(makeNewIssuer(data, nowMs)).rejects.toMatchObject(
      refused('a rollover is under way'),
    );
  });

  it('is not made with another root key, and not without one', async () => {
    const data = await folder();
    takeRootAway(data);
    await expect(makeNewIssuer(data, nowMs)).rejects.toMatchObject(refused('issuer csr'));
    writeFileSync(data.paths.privateKey('root'), newP256Key().pem, { mode: 0o600 });
    await expect(makeNewIssuer(data, nowMs)).rejects.toMatchObject(refused('is not the key of'));
    expect(readIssuers(data.paths)).toEqual({ active: ['issuer'], requested: undefined, next: 2 });
  });

  it('takes the place of the first, whose files go', async () => {
    const data = await folder();
    await makeNewIssuer(data, nowMs);
    const rest = removeIssuer(data, 'issuer');
    expect(existsSync(data.paths.privateKey('issuer'))).toBe(true);
    sweepIssuerFiles(data.paths, rest);
    expect(
      filesOf(data)
        .filter((name) => /^(issuer|scep-ra)/.test(name))
        .toSorted(),
    ).toEqual(['issuer-2.pem', 'issuer-2.pem', 'scep-ra-2.pem', 'scep-ra.pem']);
    const again = await ensureDataDirectory(data.directory, { brokerUrl, nowMs });
    const { texts, keys } = workerSettings(again, brokerUrl, 'key set');
    expect(texts.ISSUER_CERTIFICATE).toBe(data.certificatePem('issuer-2'));
    expect([texts.ISSUER_2_CERTIFICATE, keys.ISSUER_2_KEY]).toEqual([undefined, undefined]);
    expect(() => removeIssuer(data, 'issuer-2')).toThrow('the only issuer');
    // Names are never used again.
    expect((await makeNewIssuer(data, nowMs)).name).toBe('issuer-3');
  });
});

describe('with a root that is kept elsewhere', () => {
  it('is signed there, and taken in here', async () => {
    const data = await folder();
    const rootKey = takeRootAway(data);
    const { name, requestPem } = requestIssuer(data);
    expect(name).toBe('issuer-2');
    const described = openssl(['req', '-in', 'csr', '-noout', '-verify', '-text'], {
      csr: requestPem,
    });
    expect(described).toContain('CA:TRUE, pathlen:0');
    const chain = await signIssuerRequest(requestPem, data.rootCertificatePem, rootKey, nowMs);
    const imported = await importIssuerChain(data, chain, nowMs);
    expect(imported.name).toBe('issuer-2');
    expect(readIssuers(data.paths).active).toEqual(['issuer', 'issuer-2']);
    await ensureDataDirectory(data.directory, { brokerUrl, nowMs });
  });

  it('may be signed by OpenSSL, which copies the extensions of the request', async () => {
    const data = await folder();
    const key = takeRootAway(data);
    const { requestPem } = requestIssuer(data);
    const arguments_ = 'x509 -req -in csr -CA root -CAkey key -days 3650 -copy_extensions copy';
    const certificate = openssl(
      [...arguments_.split(' '), '-set_serial', '0x1234567890abcdef12345678'],
      {
        csr: requestPem,
        root: data.rootCertificatePem,
        key,
      },
    );
    // The issuing certificate alone is enough: the root is known.
    expect(await importIssuerChain(data, certificate, Date.now())).toMatchObject({
      name: 'issuer-2',
    });
  });

  it('keeps the key of a request that is written again, and removes it with one that is given up', async () => {
    const data = await folder();
    requestIssuer(data);
    const key = readFileSync(data.paths.privateKey('issuer-2'), 'utf8');
    requestIssuer(data);
    expect(readFileSync(data.paths.privateKey('issuer-2'), 'utf8')).toBe(key);
    // A request alone changes nothing for the broker.
    expect(workerSettings(data, brokerUrl, 'x').texts.ISSUER_2_CERTIFICATE).toBe(undefined);
    expect(discardIssuerRequest(data)).toBe('issuer-2');
    sweepIssuerFiles(data.paths, readIssuers(data.paths));
    expect(existsSync(data.paths.privateKey('issuer-2'))).toBe(false);
    expect(() => discardIssuerRequest(data)).toThrow('No certificate is awaited');
    await expect(importIssuerChain(data, 'x', nowMs)).rejects.toMatchObject(refused('issuer csr'));
    expect(requestIssuer(data).name).toBe('issuer-3');
  });

  it('is refused with a chain in which anything is not as it must be, which changes nothing', async () => {
    const data = await folder();
    const root = data.rootCertificatePem;
    const rootKey = data.privateKey('root');
    requestIssuer(data);
    const key = data.privateKey('issuer-2');
    const good = await makeIssuerCertificate(key, root, rootKey, nowMs);
    const foreignRootKey = newP256Key().privateKey;
    const foreignRoot = await makeRootCertificate(foreignRootKey, nowMs);
    const otherKey = newP256Key().privateKey;
    const under = (issuerKey: typeof key, rootPem: string, signer: typeof key, atMs = nowMs) =>
      makeIssuerCertificate(issuerKey, rootPem, signer, atMs);
    const yearMs = 365 * 86_400_000;
    const pem = rootKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const withOpenssl = (extensions: string, name = 'MTLS Certificate Authority', days = 3650) => {
      const request = [
        'req',
        '-new',
        '-key',
        'key',
        '-subj',
        `/CN=${name}`,
        '-x509',
        '-CA',
        'root',
      ];
      const signing = ['-CAkey', 'rootkey', '-days', String(days), '-config', 'config'];
      return openssl([...request, ...signing, '-extensions', 'v3'], {
        key: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
        root,
        rootkey: pem,
        config: `[req]\ndistinguished_name=dn\n[dn]\n[v3]\n${extensions}\n`,
      });
    };
    const profile = {
      basicConstraints: 'critical,CA:TRUE,pathlen:0',
      keyUsage: 'critical,keyCertSign,cRLSign',
      extendedKeyUsage: 'clientAuth,OCSPSigning',
      subjectKeyIdentifier: 'hash',
      authorityKeyIdentifier: 'keyid:always',
    };
    const profiled = (change: Partial<Record<keyof typeof profile, string | null>>) =>
      Object.entries({ ...profile, ...change })
        .filter(([, value]) => value !== null)
        .map(([name, value]) => `${name}=${value}`)
        .join('\n');
    const table: ReadonlyArray<[what: string, chain: string, atMs: number, text: string]> = [
      ['nothing', '', nowMs, 'not PEM'],
      ['a key', pem, nowMs, 'not PEM'],
      ['another key', await under(otherKey, root, rootKey), nowMs, 'no certificate of the key'],
      [
        'another root',
        `${await under(key, foreignRoot, foreignRootKey)}${foreignRoot}`,
        nowMs,
        'another root',
      ],
      [
        'another root, unsaid',
        await under(key, foreignRoot, foreignRootKey),
        nowMs,
        'issuer_mismatch',
      ],
      ["the root's name alone", await under(key, root, foreignRootKey), nowMs, 'signature'],
      ['a third certificate', `${good}${root}${foreignRoot}`, nowMs, 'not the issuing certificate'],
      ['the root twice', `${good}${root}${root}`, nowMs, 'not the issuing certificate'],
      ['the root alone', root, nowMs, 'no certificate of the key'],
      [
        'a signer of key sets',
        await makeKeySetSignerCertificate(key, root, rootKey, nowMs),
        nowMs,
        'purpose_not_allowed',
      ],
      ['one that has ended', good, nowMs + 11 * yearMs, 'expired'],
      ['one that has not begun', good, nowMs - 2 * 86_400_000, 'not_yet_valid'],
      ['one that ends soon', good, nowMs + 10 * yearMs - 80 * 86_400_000, 'in less than 90 days'],
      [
        'no authority',
        withOpenssl(profiled({ basicConstraints: 'critical,CA:FALSE' })),
        Date.now(),
        'purpose_not_allowed',
      ],
      [
        'a longer path',
        withOpenssl(profiled({ basicConstraints: 'critical,CA:TRUE,pathlen:1' })),
        Date.now(),
        'purpose_not_allowed',
      ],
      [
        'no end of the path',
        withOpenssl(profiled({ basicConstraints: 'critical,CA:TRUE' })),
        Date.now(),
        'purpose_not_allowed',
      ],
      [
        'constraints that are not critical',
        withOpenssl(profiled({ basicConstraints: 'CA:TRUE,pathlen:0' })),
        Date.now(),
        'purpose_not_allowed',
      ],
      [
        'no CRLs',
        withOpenssl(profiled({ keyUsage: 'critical,keyCertSign' })),
        Date.now(),
        'purpose_not_allowed',
      ],
      [
        'more uses',
        withOpenssl(profiled({ keyUsage: 'critical,digitalSignature,keyCertSign,cRLSign' })),
        Date.now(),
        'purpose_not_allowed',
      ],
      [
        'no fence',
        withOpenssl(profiled({ extendedKeyUsage: null })),
        Date.now(),
        'purpose_not_allowed',
      ],
      [
        'another fence',
        withOpenssl(profiled({ extendedKeyUsage: 'serverAuth' })),
        Date.now(),
        'purpose_not_allowed',
      ],
      [
        'no name of its key',
        withOpenssl(profiled({ subjectKeyIdentifier: 'none' })),
        Date.now(),
        'The certificate cannot issue',
      ],
      [
        'another name',
        withOpenssl(profiled({}), 'Other Authority'),
        Date.now(),
        'is called "Other Authority"',
      ],
    ];
    const before = [readFileSync(data.paths.issuers, 'utf8'), filesOf(data)];
    for (const [what, chain, atMs, text] of table) {
      await expect(importIssuerChain(data, chain, atMs), what).rejects.toMatchObject(refused(text));
    }
    expect([readFileSync(data.paths.issuers, 'utf8'), filesOf(data)]).toEqual(before);
    // The table refuses each for what it says: this one has nothing of it.
    const right = withOpenssl(profiled({}));
    expect(await importIssuerChain(data, right, Date.now())).toMatchObject({ name: 'issuer-2' });
  });

  it('signs nothing but its own kind of request, with nothing but the root', async () => {
    const data = await folder();
    const rootKey = data.privateKey('root').export({ format: 'pem', type: 'pkcs8' }).toString();
    const { requestPem } = requestIssuer(data);
    const root = data.rootCertificatePem;
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const requestOf = (key: typeof rsa, name: string) =>
      openssl(['req', '-new', '-key', 'key', '-subj', `/CN=${name}`], {
        key: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
      });
    const issuerName = 'MTLS Certificate Authority';
    const p256 = newP256Key().privateKey;
    const body = requestPem.split('\n');
    const spoiled = [body[0], `${body[1]?.slice(0, -4)}AAAA`, ...body.slice(2)].join('\n');
    for (const [request, rootPem, keyPem, text] of [
      ['x', root, rootKey, 'request cannot be read'],
      [spoiled, root, rootKey, 'request'],
      [requestOf(rsa, issuerName), root, rootKey, 'not one of'],
      [requestOf(p256, 'Other'), root, rootKey, 'not one of'],
      [requestPem, 'x', rootKey, 'root certificate cannot be read'],
      [requestPem, root, 'x', 'root key cannot be read'],
      [requestPem, root, newP256Key().pem, 'not the one of the root certificate'],
    ] as const) {
      await expect(signIssuerRequest(request, rootPem, keyPem, nowMs)).rejects.toMatchObject(
        refused(text),
      );
    }
  });
});
