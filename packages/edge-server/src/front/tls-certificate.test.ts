import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dataPaths } from '../data-directory/layout.ts';
import { newP256Key } from '../data-directory/private-key.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { keepTlsCertificate, readTlsFiles } from './tls-certificate.ts';

const nowMs = Date.now();
const dayMs = 86_400_000;

describe('the self-made TLS certificate', () => {
  it('is for this machine and the given names, for one year, with a key of its own', async () => {
    const paths = dataPaths(temporaryDirectory());
    const { pair, isNew } = await keepTlsCertificate(paths, ['broker.example.com'], nowMs);
    const certificate = new X509Certificate(pair.cert);
    expect(isNew).toBe(true);
    expect(certificate.subjectAltName).toBe(
      'DNS:localhost, DNS:broker.example.com, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    const days = (Date.parse(certificate.validTo) - nowMs) / dayMs;
    expect(Math.round(days)).toBe(365);
    expect(readFileSync(paths.tlsKey, 'utf8')).toBe(pair.key);
    expect(statSync(paths.tlsKey).mode & 0o777).toBe(0o600);
  });

  it('is kept until its last month, then made again', async () => {
    const paths = dataPaths(temporaryDirectory());
    const first = await keepTlsCertificate(paths, [], nowMs);
    const kept = await keepTlsCertificate(paths, ['LOCALHOST'], nowMs + 334 * dayMs);
    expect(kept).toEqual({ pair: first.pair, isNew: false });
    const renewed = await keepTlsCertificate(paths, [], nowMs + 336 * dayMs);
    expect(renewed.isNew).toBe(true);
    expect(renewed.pair.key).not.toBe(first.pair.key);
  });

  it('is made again for other names, and when the stored pair is damaged', async () => {
    const paths = dataPaths(temporaryDirectory());
    const made = async (hosts: string[]) => (await keepTlsCertificate(paths, hosts, nowMs)).isNew;
    expect(await made(['a.example', 'b.example'])).toBe(true);
    expect(await made(['b.example', 'a.example'])).toBe(false);
    expect(await made(['a.example'])).toBe(true);
    writeFileSync(paths.tlsKey, newP256Key().pem);
    expect(await made(['a.example'])).toBe(true);
    writeFileSync(paths.tlsCertificate, 'x');
    expect(await made(['a.example'])).toBe(true);
    expect(await made(['a.example'])).toBe(false);
  });
});

describe("the administrator's own TLS certificate", () => {
  it('is used when it fits its key', async () => {
    const paths = dataPaths(temporaryDirectory());
    const { pair } = await keepTlsCertificate(paths, [], nowMs);
    const files = { certificateFile: paths.tlsCertificate, keyFile: paths.tlsKey };
    expect(readTlsFiles(files)).toEqual(pair);
  });

  it('is refused with its file named otherwise', async () => {
    const directory = temporaryDirectory();
    const paths = dataPaths(directory);
    await keepTlsCertificate(paths, [], nowMs);
    const otherKey = join(directory, 'other.pem');
    writeFileSync(otherKey, newP256Key().pem);
    const read = (certificateFile: string, keyFile: string) => () =>
      readTlsFiles({ certificateFile, keyFile });
    const refusal = (file: string) =>
      expect.objectContaining({
        failure: 'tls_certificate_invalid',
        message: expect.stringContaining(file),
      });
    expect(read(paths.tlsCertificate, '/nowhere/key.pem')).toThrow(refusal('/nowhere/key.pem'));
    expect(read(paths.tlsCertificate, otherKey)).toThrow(refusal(otherKey));
    expect(read(otherKey, paths.tlsKey)).toThrow(refusal(otherKey));
  });
});
