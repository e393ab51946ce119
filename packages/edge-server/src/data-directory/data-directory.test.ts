import { createHash, X509Certificate } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { decodePem, parseCertificate, verifyIssuedBy } from '@countersign/x509';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { tokenKeyFiles } from '../rotation/token-key-files.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { firstIssuers } from './issuers.ts';
import { issuerFiles, requiredDirectories, requiredFiles, rootKeyFile } from './layout.ts';
import { ensureDataDirectory } from './open-data-directory.ts';

const nowMs = Date.UTC(2026, 10, 21);
const settings = { brokerUrl: 'http://127.0.0.1:8780', nowMs };

const necessary = [...requiredFiles, ...issuerFiles(firstIssuers)];
const allFiles = [...necessary, rootKeyFile];

async function created() {
  const directory = join(temporaryDirectory(), 'data');
  return { directory, data: await ensureDataDirectory(directory, settings) };
}

function allEntries(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) =>
    join(directory, name),
  );
}

const parsed = (pem: string) => {
  const der = decodePem(pem, 'CERTIFICATE');
  const certificate = der.ok ? parseCertificate(der.value) : der;
  if (!certificate.ok) throw new Error(certificate.detail);
  return certificate.value;
};

describe('a new data folder', () => {
  it('has everything, and nothing of it is open to others under any umask', async () => {
    for (const umask of [0, 0o077]) {
      const previous = process.umask(umask);
      try {
        const { directory, data } = await created();
        for (const path of [directory, ...allEntries(directory)]) {
          const stat = lstatSync(path);
          expect([path, stat.mode & 0o777]).toEqual([path, stat.isDirectory() ? 0o700 : 0o600]);
        }
        const names = allEntries(directory).map((path) => path.slice(directory.length + 1));
        expect(names.toSorted()).toEqual(
          [
            ...allFiles,
            'certificates/scep-ra.pem',
            ...requiredDirectories.filter((name) => name !== '.'),
            ...tokenKeyFiles(data.paths, data.tokenKeys).map((path) => relative(directory, path)),
          ].toSorted(),
        );
      } finally {
        process.umask(previous);
      }
    }
  });

  it('leaves nothing beside it', async () => {
    const parent = temporaryDirectory();
    await ensureDataDirectory(join(parent, 'data'), settings);
    expect(readdirSync(parent)).toEqual(['data']);
  });

  it('holds a root, an issuer and a key set signer that fit each other and their keys', async () => {
    const { directory, data } = await created();
    const root = parsed(data.rootCertificatePem);
    const issuer = parsed(data.certificatePem('issuer'));
    const signer = parsed(readFileSync(join(directory, 'certificates/key-set-signer.pem'), 'utf8'));
    expect(await verifyIssuedBy(issuer, root, 'issuing-ca', nowMs)).toMatchObject({ ok: true });
    expect(await verifyIssuedBy(signer, root, 'key-set-signer', nowMs)).toMatchObject({ ok: true });
    expect(issuer.subject.commonName).toBe('MTLS Certificate Authority');
    for (const name of ['root', 'issuer', 'key-set-signer'] as const) {
      const certificate = new X509Certificate(readFileSync(data.paths.certificate(name)));
      expect(certificate.checkPrivateKey(data.privateKey(name))).toBe(true);
    }
  });

  it('has keys, token and organization of its own', async () => {
    const [one, other] = [await created(), await created()];
    const secrets = ({ directory }: { directory: string }) =>
      allFiles
        .filter((name) => name !== 'deployment.json' && name !== 'issuers.json')
        .map((name) => readFileSync(join(directory, name), 'base64'));
    const both = [...secrets(one), ...secrets(other)];
    expect(new Set(both).size).toBe(both.length);
    expect(one.data.deployment.organizationId).not.toBe(other.data.deployment.organizationId);
    expect(one.data.ownerToken).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it('records the shard count and the fingerprint of the device id key, not the key', async () => {
    const directory = join(temporaryDirectory(), 'data');
    await ensureDataDirectory(directory, { ...settings, shardCount: 7 });
    const key = readFileSync(join(directory, 'keys/device-id.key'));
    expect(key).toHaveLength(32);
    const text = readFileSync(join(directory, 'deployment.json'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({
      version: 1,
      shard_count: 7,
      device_id_key_fingerprint: createHash('sha256').update(key).digest('base64url'),
      created_at: '2026-11-21T00:00:00.000Z',
    });
    expect(text).not.toContain(key.toString('base64url'));
  });

  it('is made in an empty folder that exists already, as a mount point does', async () => {
    const directory = temporaryDirectory();
    chmodSync(directory, 0o755);
    const { created } = await ensureDataDirectory(directory, settings);
    expect(created).toBe(true);
    expect(lstatSync(directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(directory)).not.toContainEqual(expect.stringMatching(/^\.new-/));
  });

  it('is the same for two that create it at once', async () => {
    const directory = join(temporaryDirectory(), 'data');
    const both = await Promise.all([
      ensureDataDirectory(directory, settings),
      ensureDataDirectory(directory, settings),
    ]);
    expect(both[0].ownerToken).toBe(both[1].ownerToken);
    expect(both[0].deployment).toEqual(both[1].deployment);
  });
});

describe('an existing data folder', () => {
  it('stays as it is, byte for byte', async () => {
    const { directory, data } = await created();
    const contents = () => allFiles.map((name) => readFileSync(join(directory, name), 'hex'));
    const before = contents();
    const again = await ensureDataDirectory(directory, settings);
    expect(again.created).toBe(false);
    expect(again.ownerToken).toBe(data.ownerToken);
    expect(contents()).toEqual(before);
  });

  it.each(necessary.filter((name) => !['issuers.json', 'keys/scep-ra.pem'].includes(name)))(
    'is refused without %s, which is not made again',
    async (name) => {
      const { directory } = await created();
      rmSync(join(directory, name));
      await expect(ensureDataDirectory(directory, settings)).rejects.toMatchObject({
        failure: 'data_directory_incomplete',
        message: expect.stringContaining(`${join(directory, name)} is missing`),
      });
      expect(allEntries(directory)).not.toContain(join(directory, name));
    },
  );

  it('does without the root key, which may be kept elsewhere, but not with one that is open to others', async () => {
    const { directory, data } = await created();
    chmodSync(data.paths.privateKey('root'), 0o644);
    await expect(ensureDataDirectory(directory, settings)).rejects.toMatchObject({
      failure: 'data_directory_permissions',
      message: expect.stringContaining('keys/root.pem has mode 644'),
    });
    rmSync(data.paths.privateKey('root'));
    const again = await ensureDataDirectory(directory, settings);
    expect(again.certificatePem('root')).toBe(data.rootCertificatePem);
    expect(() => again.privateKey('root')).toThrow('root.pem');
  });

  it('gets what it lacks when it is of an earlier version, once', async () => {
    const { directory, data } = await created();
    const { paths } = data;
    const newer = [paths.issuers, paths.scepRaKey, paths.storedSecretsKey];
    for (const path of [...newer, paths.scepRaCertificate('issuer')]) rmSync(path);
    await ensureDataDirectory(directory, settings);
    const contents = () => newer.map((path) => readFileSync(path, 'hex'));
    const made = contents();
    expect(readFileSync(paths.storedSecretsKey)).toHaveLength(32);
    for (const path of newer) expect(lstatSync(path).mode & 0o777).toBe(0o600);
    await ensureDataDirectory(directory, settings);
    expect(contents()).toEqual(made);
    // What is sealed with a key that was lost is lost: another one in its place would hide that.
    rmSync(paths.storedSecretsKey);
    await expect(ensureDataDirectory(directory, settings)).rejects.toMatchObject({
      failure: 'data_directory_incomplete',
    });
  });

  it('keeps a certificate for SCEP under its issuer, and renews it in its last year', async () => {
    const { directory, data } = await created();
    const path = data.paths.scepRaCertificate('issuer');
    const issuer = parsed(data.certificatePem('issuer'));
    const first = readFileSync(path, 'utf8');
    expect(await verifyIssuedBy(parsed(first), issuer, 'scep-ra', nowMs)).toMatchObject({
      ok: true,
    });
    const key = new X509Certificate(first).publicKey;
    const dayMs = 86_400_000;
    const after = async (days: number) => {
      await ensureDataDirectory(directory, { ...settings, nowMs: nowMs + days * dayMs });
      return readFileSync(path, 'utf8');
    };
    expect(await after(4 * 365 - 1)).toBe(first);
    const renewed = await after(4 * 365 + 1);
    expect(renewed).not.toBe(first);
    expect(new X509Certificate(renewed).publicKey.equals(key)).toBe(true);
    // It cannot outlive its issuer: near that one's end it is left alone.
    const last = await after(9 * 365 + 100);
    expect(parsed(last).notAfterMs).toBe(issuer.notAfterMs);
    expect(await after(9 * 365 + 200)).toBe(last);
    writeFileSync(path, 'damaged');
    expect(parsed(await after(1)).subjectPublicKey.kind).toBe('rsa');
    // A key that may have leaked is removed; another one takes its place.
    rmSync(data.paths.scepRaKey);
    expect(new X509Certificate(await after(1)).publicKey.equals(key)).toBe(false);
  });

  it('has every open file named, with the command that closes it', async () => {
    const { directory } = await created();
    const issuerKey = join(directory, 'keys/issuer.pem');
    chmodSync(directory, 0o755);
    chmodSync(issuerKey, 0o640);
    await expect(ensureDataDirectory(directory, settings)).rejects.toMatchObject({
      failure: 'data_directory_permissions',
      message: expect.stringMatching(
        /mode 755, open to others: chmod go= .*\n.*issuer\.pem has mode 640, open to others: chmod go= \S+issuer\.pem/,
      ),
    });
    expect(lstatSync(issuerKey).mode & 0o777).toBe(0o640);
  });

  it('is refused with another number of shards', async () => {
    const { directory } = await created();
    await expect(
      ensureDataDirectory(directory, { ...settings, shardCount: 17 }),
    ).rejects.toMatchObject({
      failure: 'deployment_mismatch',
      message: expect.stringContaining('created with 16 shards, not 17'),
    });
  });

  it('is refused with another device id key', async () => {
    const { directory } = await created();
    writeFileSync(join(directory, 'keys/device-id.key'), Buffer.alloc(32, 7));
    await expect(ensureDataDirectory(directory, settings)).rejects.toMatchObject({
      failure: 'deployment_mismatch',
      message: expect.stringContaining('device-id.key'),
    });
  });

  it.each([
    ['deployment.json', '{', 'is not JSON'],
    ['deployment.json', '{"version":2}', 'is wrong at "version"'],
    ['owner-token', 'short\n', 'does not hold an owner token'],
    ['certificates/root.pem', 'x', 'does not hold a certificate'],
    ['certificates/issuer.pem', 'x', 'does not hold a certificate'],
    ['keys/scep-ra.pem', 'x', 'does not hold an RSA key'],
    ['issuers.json', '{"version":1,"active":[]}', 'is wrong at "active"'],
    [
      'issuers.json',
      '{"version":1,"active":["issuer","issuer"],"next":2}',
      'names one issuer twice',
    ],
    ['issuers.json', '{"version":1,"active":["../../x"]}', 'must be like issuer-2'],
  ])('is refused with a damaged %s', async (name, content, problem) => {
    const { directory } = await created();
    writeFileSync(join(directory, name), content);
    await expect(ensureDataDirectory(directory, settings)).rejects.toMatchObject({
      failure: 'data_directory_unusable',
      message: expect.stringContaining(problem),
    });
  });

  it('is not taken for one when it holds something else', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'holiday.jpg'), 'sea');
    await expect(ensureDataDirectory(directory, settings)).rejects.toMatchObject({
      failure: 'data_directory_incomplete',
    });
    expect(readdirSync(directory)).toEqual(['holiday.jpg']);
    const file = join(directory, 'holiday.jpg');
    await expect(ensureDataDirectory(file, settings)).rejects.toMatchObject({
      failure: 'data_directory_unusable',
    });
  });

  it('cannot be created where nothing may be written', async () => {
    await expect(ensureDataDirectory('/proc/countersign', settings)).rejects.toMatchObject({
      failure: 'data_directory_unusable',
      message: expect.stringContaining('--data'),
    });
  });
});

describe('the folder of another user', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([
    ['that is complete', false],
    ['that is of an older version', true],
  ])(
    '%s is left as it is, also by root, and the advice does not lock its server out',
    async (_, isOlder) => {
      const { directory, data } = await created();
      if (isOlder) {
        const [key = ''] = tokenKeyFiles(data.paths, data.tokenKeys);
        for (const purpose of ['challenge', 'decision', 'response']) {
          cpSync(key, join(directory, 'keys', `${purpose}.pem`));
        }
        rmSync(data.paths.tokenKeys);
      }
      const before = allEntries(directory);
      const { uid } = lstatSync(directory);
      vi.spyOn(process, 'getuid').mockReturnValue(uid + 1);
      await expect(ensureDataDirectory(directory, settings)).rejects.toMatchObject({
        failure: 'data_directory_permissions',
        message: expect.stringContaining(`Run it as that user (sudo -u '#${uid}'`),
      });
      expect(allEntries(directory)).toEqual(before);
    },
  );

  it('that is empty is not filled', async () => {
    const directory = temporaryDirectory();
    vi.spyOn(process, 'getuid').mockReturnValue(lstatSync(directory).uid + 1);
    await expect(ensureDataDirectory(directory, settings)).rejects.toMatchObject({
      failure: 'data_directory_permissions',
    });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('a creation that was broken off', () => {
  const deadProcess = 2 ** 22 + 1;

  it('beside its place is removed, but not one that is under way', async () => {
    const parent = temporaryDirectory();
    const abandoned = join(parent, `.data.new-${deadProcess}-aaaaaa`);
    const underWay = join(parent, `.data.new-${process.pid}-bbbbbb`);
    for (const path of [abandoned, underWay]) {
      mkdirSync(join(path, 'keys'), { recursive: true });
      writeFileSync(join(path, 'keys/root.pem'), 'half');
    }
    await ensureDataDirectory(join(parent, 'data'), settings);
    expect(readdirSync(parent).toSorted()).toEqual([`.data.new-${process.pid}-bbbbbb`, 'data']);
  });

  it('inside its place is begun again', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, `.new-${deadProcess}-aaaaaa`));
    mkdirSync(join(directory, 'keys'));
    mkdirSync(join(directory, 'durable-objects'));
    const { created } = await ensureDataDirectory(directory, settings);
    expect(created).toBe(true);
  });

  it('is left alone as soon as there are databases', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, `.new-${deadProcess}-aaaaaa`));
    mkdirSync(join(directory, 'durable-objects/countersign-device-v1'), { recursive: true });
    await expect(ensureDataDirectory(directory, settings)).rejects.toMatchObject({
      failure: 'data_directory_incomplete',
    });
    expect(readdirSync(directory)).toContain('durable-objects');
  });
});
