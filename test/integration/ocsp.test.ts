import { SELF } from 'cloudflare:test';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  certificateIdOf,
  ocspRequestOf,
} from '../../packages/x509/src/testing/make-ocsp-request.ts';
import { RevocationObject } from '../../worker/src/revocation/revocation-object.ts';
import {
  brokerUrl,
  getOcsp,
  hexOf,
  inRevocation,
  issuer,
  newSerialNumber,
  ocspRequest,
  postOcsp,
  publish,
  standing,
  statusesOf,
  statusOf,
} from './test-revocation.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const travel = (ms: number) => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms });
};
const isRevoked = { status: 'revoked', reason: 'keyCompromise', statusVersion: 2 } as const;
const countAsked = () => vi.spyOn(RevocationObject.prototype, 'ocsp');

describe('OCSP', () => {
  it('says good of what was issued, and #43 unknown of what never was', async () => {
    const issued = newSerialNumber(1);
    await publish(1, standing(issued));
    expect(await statusOf(issued)).toBe('good');
    expect(await statusOf(newSerialNumber(1))).toBe('unknown');
    expect(await statusOf(Uint8Array.of(0x7f, 1, 2, 3, 4, 5, 6, 7, 8))).toBe('unknown');
  });

  it('#43 says revoked from the moment in which that is published', async () => {
    const serialNumber = newSerialNumber(2);
    await publish(2, standing(serialNumber));
    expect(await statusOf(serialNumber)).toBe('good');
    await publish(2, standing(serialNumber, isRevoked));
    expect(await statusOf(serialNumber)).toBe('revoked');
  });

  it('#43 does not hand out an answer that was on its way when the certificate was revoked', async () => {
    const serialNumber = newSerialNumber(2);
    await publish(2, standing(serialNumber));
    const original = RevocationObject.prototype.ocsp;
    const asked = countAsked().mockImplementationOnce(async function late(
      this: RevocationObject,
      ...args
    ) {
      const answer = await original.apply(this, args);
      await this.publish(args[0], [standing(serialNumber, isRevoked)]);
      return answer;
    });
    expect(await statusOf(serialNumber)).toBe('good');
    expect(await statusOf(serialNumber)).toBe('revoked');
    expect(asked).toHaveBeenCalledTimes(2);
  });

  it('answers from what is ready, without its object, and renews that ahead of time', async () => {
    const serialNumber = newSerialNumber(3);
    await publish(3, standing(serialNumber));
    const request = await ocspRequest([serialNumber]);
    const asked = countAsked();
    const first = hexOf(await (await getOcsp(request)).bytes());
    for (let i = 0; i < 5; i++) expect(hexOf(await (await getOcsp(request)).bytes())).toBe(first);
    expect(asked).toHaveBeenCalledTimes(1);
    travel(31_000);
    expect(hexOf(await (await getOcsp(request)).bytes())).toBe(first);
    await vi.waitFor(async () => {
      expect(hexOf(await (await getOcsp(request)).bytes())).not.toBe(first);
    }, 30_000);
    expect(asked).toHaveBeenCalledTimes(2);
    travel(61_000);
    await getOcsp(request);
    expect(asked).toHaveBeenCalledTimes(3);
  });

  it('#43 answers a POST from what is ready too, but not after a change anywhere', async () => {
    const serialNumber = newSerialNumber(3);
    await publish(3, standing(serialNumber));
    const request = await ocspRequest([serialNumber]);
    const asked = countAsked();
    const first = await postOcsp(request);
    const again = await postOcsp(request);
    expect(hexOf(await again.bytes())).toBe(hexOf(await first.bytes()));
    const headers = (response: Response) => ({
      ...Object.fromEntries(response.headers),
      'x-request-id': undefined,
    });
    expect(headers(again)).toEqual(headers(first));
    expect(asked).toHaveBeenCalledTimes(1);
    await publish(3, standing(serialNumber, isRevoked));
    expect(await statusesOf(await postOcsp(request), [serialNumber])).toEqual(['revoked']);
    expect(await statusesOf(await getOcsp(request), [serialNumber])).toEqual(['revoked']);
    expect(asked).toHaveBeenCalledTimes(2);
  });

  it('answers each form of a question in that form', async () => {
    const serialNumber = newSerialNumber(4);
    await publish(4, standing(serialNumber));
    for (const hash of ['SHA-1', 'SHA-256'] as const) {
      for (const hasNull of [true, false]) {
        const id = await certificateIdOf(issuer, hexOf(serialNumber), hash, hasNull);
        const request = ocspRequestOf({ certificateIds: [id] });
        for (let i = 0; i < 2; i++) {
          const response = hexOf(await (await postOcsp(request)).bytes());
          expect(response).toContain(`${hexOf(id)}8000`);
        }
      }
    }
  });

  it('#43 answers a nonce with the same nonce, live, and has nobody keep it', async () => {
    const serialNumber = newSerialNumber(5);
    await publish(5, standing(serialNumber));
    const asked = countAsked();
    for (const length of [1, 32, 128]) {
      const nonce = crypto.getRandomValues(new Uint8Array(length));
      const response = await getOcsp(await ocspRequest([serialNumber], { nonce }));
      expect(response.headers.get('Cache-Control')).toBe('no-store');
      expect(response.headers.get('ETag')).toBeNull();
      expect(hexOf(await response.bytes())).toContain(hexOf(nonce));
    }
    expect(asked).toHaveBeenCalledTimes(3);
  });

  it('answers several questions at once, over several lists', async () => {
    const certificates = [newSerialNumber(6), newSerialNumber(7), newSerialNumber(6)] as const;
    await publish(6, standing(certificates[0], isRevoked));
    await publish(7, standing(certificates[1]));
    const response = await postOcsp(await ocspRequest(certificates));
    expect(response.headers.get('Cache-Control')).toBe('no-store');
    expect(await statusesOf(response, certificates)).toEqual(['revoked', 'good', 'unknown']);
  });

  it('says when a GET may be kept until, and answers who has it with 304', async () => {
    const serialNumber = newSerialNumber(8);
    await publish(8, standing(serialNumber));
    const request = await ocspRequest([serialNumber]);
    const response = await getOcsp(request);
    expect(response.headers.get('Content-Type')).toBe('application/ocsp-response');
    expect(response.headers.get('Cache-Control')).toMatch(/^public, max-age=300,/);
    const expires = Date.parse(response.headers.get('Expires') ?? '');
    const lastModified = Date.parse(response.headers.get('Last-Modified') ?? '');
    expect(expires - lastModified).toBe(4 * 3_600_000);
    const etag = response.headers.get('ETag') ?? '';
    const again = await getOcsp(request, { 'If-None-Match': etag });
    expect([again.status, await again.text()]).toEqual([304, '']);
    expect((await postOcsp(request)).headers.get('Cache-Control')).toBe('no-store');
  });

  it('takes base64 with escapes and without', async () => {
    for (;;) {
      const serialNumber = newSerialNumber(9);
      const request = await ocspRequest([serialNumber]);
      const base64 = Buffer.from(request).toString('base64');
      if (!base64.includes('/') || !base64.includes('+')) continue;
      for (const path of [base64, encodeURIComponent(base64), base64.replaceAll('+', '%2b')]) {
        const response = await SELF.fetch(`${brokerUrl}/ocsp/${path}`);
        expect(await statusesOf(response, [serialNumber])).toEqual(['unknown']);
      }
      return;
    }
  });

  it('does not answer about other issuers, in whole or in part', async () => {
    const serialNumber = newSerialNumber(10);
    const own = await certificateIdOf(issuer, hexOf(serialNumber));
    const { subjectPublicKey } = issuer;
    // #43: of the same name, and of the same key.
    const otherKey = { ...subjectPublicKey, publicKeyBits: new Uint8Array(65) };
    const otherName = { ...issuer.subject, der: new Uint8Array([0x30, 0x00]) };
    const foreign = [
      await certificateIdOf({ ...issuer, subjectPublicKey: otherKey }, hexOf(serialNumber)),
      await certificateIdOf({ ...issuer, subject: otherName }, hexOf(serialNumber)),
    ];
    for (const id of foreign) {
      for (const certificateIds of [[id], [own, id]]) {
        const response = await postOcsp(ocspRequestOf({ certificateIds }));
        expect(response.status).toBe(200);
        expect(await statusesOf(response, [])).toEqual(['unauthorized']);
      }
    }
  });

  it('refuses what is no request, unsigned', async () => {
    const long = await ocspRequest([newSerialNumber(1)], { nonce: new Uint8Array(129) });
    for (const request of [new Uint8Array(), Uint8Array.of(0x30, 0), long]) {
      const response = await postOcsp(request);
      expect(response.headers.get('Content-Type')).toBe('application/ocsp-response');
      expect(await statusesOf(response, [])).toEqual(['malformedRequest']);
    }
    for (const path of ['%', '%2F%2', '!', 'MAA', '-_', 'A'.repeat(20_000)]) {
      const response = await SELF.fetch(`${brokerUrl}/ocsp/${path}`);
      expect(response.headers.get('Cache-Control')).toBe('no-store');
      expect(await statusesOf(response, [])).toEqual(['malformedRequest']);
    }
    const large = await postOcsp(new Uint8Array(8193));
    expect([large.status, large.headers.get('Content-Type')]).toEqual([
      413,
      'application/problem+json',
    ]);
    const untyped = await SELF.fetch(`${brokerUrl}/ocsp`, { method: 'POST', body: 'x' });
    expect(untyped.status).toBe(400);
  });

  it('#42 signs with a key of its own, whose certificate is on record and never a device’s', async () => {
    const serialNumber = newSerialNumber(11);
    const response = hexOf(await (await postOcsp(await ocspRequest([serialNumber]))).bytes());
    const records = await inRevocation(11, (_, { storage }) =>
      storage.sql.exec('SELECT to_be_signed, not_after_ms FROM responders').toArray(),
    );
    expect(records).toHaveLength(1);
    const recorded = records[0]?.to_be_signed;
    if (!(recorded instanceof ArrayBuffer)) throw new TypeError('a BLOB');
    expect(response).toContain(hexOf(new Uint8Array(recorded)));
    // A week later there is another one; the first answered nothing beyond its end.
    travel(5 * 86_400_000);
    await postOcsp(await ocspRequest([serialNumber]));
    const later = await inRevocation(11, (_, { storage }) =>
      storage.sql.exec('SELECT count(*) AS count FROM responders').one(),
    );
    expect(later.count).toBe(2);
  });
});
