import { evictDurableObject, SELF } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { brokerWith } from './test-app.ts';
import {
  brokerUrl,
  crlUrl,
  fetchCrl,
  hexOf,
  inRevocation,
  issuer,
  issuerId,
  listed,
  newSerialNumber,
  placeOf,
  publish,
  revocationObject,
  ringAlarmOf,
  standing,
} from './test-revocation.ts';

// Revocation lists: what is on them and how long, their numbers, and how they are handed out. Each test has a list of
// its own, so that none sees what another one revokes.

const hour = 3_600_000;
const day = 24 * hour;
const travel = (ms: number) => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms });
};
afterEach(() => {
  vi.useRealTimers();
});

const revokedAs = (reason: 'keyCompromise' | 'superseded', statusVersion = 2) =>
  ({ status: 'revoked', reason, statusVersion }) as const;

describe('a revocation list', () => {
  it('is there before anything is on it, and names its distribution point', async () => {
    const crl = await fetchCrl(0);
    expect(crl.entries).toEqual([]);
    expect(crl.distributionPoints).toEqual([crlUrl(0)]);
    expect(crl.issuer.der).toEqual(issuer.subject.der);
    expect(crl.nextUpdateMs - crl.thisUpdateMs).toBe(day);
  });

  it('holds a revocation as soon as it is published, and no certificate that is good', async () => {
    const [good, bad] = [newSerialNumber(1), newSerialNumber(1)];
    await publish(1, standing(good), standing(bad));
    expect(await listed(1)).toEqual([]);
    const before = await fetchCrl(1);
    const changedAtMs = Date.now() - hour;
    await publish(1, standing(bad, { ...revokedAs('keyCompromise'), changedAtMs }));
    const after = await fetchCrl(1);
    expect(after.entries).toEqual([
      {
        serialNumber: hexOf(bad),
        revokedAtMs: Math.floor(changedAtMs / 1000) * 1000,
        reason: 'keyCompromise',
      },
    ]);
    expect(after.number).toBeGreaterThan(before.number);
  });

  it('#43 does not take a revocation back, whatever comes later or arrives late', async () => {
    const serialNumber = newSerialNumber(2);
    await publish(2, standing(serialNumber, revokedAs('keyCompromise', 5)));
    await publish(2, standing(serialNumber, { statusVersion: 4 }));
    await publish(2, standing(serialNumber, { statusVersion: 6 }));
    await publish(2, standing(serialNumber, { status: 'hold', statusVersion: 7 }));
    expect((await fetchCrl(2)).entries).toMatchObject([{ reason: 'keyCompromise' }]);
  });

  it('takes a held certificate off again when it is released, but not for an older word', async () => {
    const serialNumber = newSerialNumber(3);
    await publish(3, standing(serialNumber, { status: 'hold', statusVersion: 3 }));
    await publish(3, standing(serialNumber, { statusVersion: 2 }));
    expect((await fetchCrl(3)).entries).toMatchObject([{ reason: 'certificateHold' }]);
    await publish(3, standing(serialNumber, { statusVersion: 4 }));
    expect(await listed(3)).toEqual([]);
  });

  it('dates no revocation later than itself', async () => {
    const serialNumber = newSerialNumber(4);
    const changedAtMs = Date.now() + hour;
    await publish(4, standing(serialNumber, { ...revokedAs('superseded'), changedAtMs }));
    const crl = await fetchCrl(4);
    expect(crl.entries[0]?.revokedAtMs).toBe(crl.thisUpdateMs);
  });

  it('is made once for many revocations that come together, by the alarm', async () => {
    const before = await fetchCrl(5);
    const certificates = Array.from({ length: 20 }, () => newSerialNumber(5));
    for (const serialNumber of certificates) {
      await publish(5, standing(serialNumber, revokedAs('superseded')));
    }
    await ringAlarmOf(5);
    const { lastNumber, number } = await inRevocation(5, (_, { storage }) => {
      const row = storage.sql.exec('SELECT last_number, crl_number FROM publication').one();
      return { lastNumber: row.last_number, number: row.crl_number };
    });
    expect(number).toBe(lastNumber);
    const after = await fetchCrl(5);
    expect(Number(after.number)).toBe(number);
    expect(after.number).toBeGreaterThan(before.number);
    expect(after.entries).toHaveLength(certificates.length);
  });

  it('is the same one after a restart, octet for octet', async () => {
    const fetchBytes = async () => hexOf(await (await SELF.fetch(crlUrl(6))).bytes());
    await publish(6, standing(newSerialNumber(6), revokedAs('superseded')));
    const before = await fetchBytes();
    await evictDurableObject(revocationObject(6));
    expect(await fetchBytes()).toBe(before);
    // What was published and is on no list yet is not lost with the memory.
    await publish(6, standing(newSerialNumber(6), revokedAs('superseded')));
    await evictDurableObject(revocationObject(6));
    expect(await listed(6)).toHaveLength(2);
  });

  it('#43 is always of today, with a number that never goes backwards, whatever the clock does', async () => {
    let { number } = await fetchCrl(7);
    for (const ms of [7 * hour, 400 * day, -400 * day, -7 * hour, 25 * hour]) {
      travel(ms);
      const crl = await fetchCrl(7);
      expect(crl.nextUpdateMs).toBeGreaterThan(Date.now());
      expect(crl.thisUpdateMs).toBeLessThanOrEqual(Date.now());
      expect(crl.number).toBeGreaterThan(number);
      number = crl.number;
    }
  });

  it('#43 has a higher number than any before, also from an older copy of the storage', async () => {
    const { number } = await fetchCrl(8);
    await inRevocation(8, (_, { storage }) => {
      storage.sql.exec(
        'UPDATE publication SET last_number = 0, crl_number = 0, crl_changes = -1, changes = 0',
      );
    });
    travel(1000);
    expect((await fetchCrl(8)).number).toBeGreaterThan(number);
  });

  it('is made by the alarm before it is old, with nobody asking', async () => {
    const before = await fetchCrl(9);
    travel(6 * hour + 1000);
    await ringAlarmOf(9);
    const row = await inRevocation(9, (_, { storage }) =>
      storage.sql.exec('SELECT crl_number, next_update_ms FROM publication').one(),
    );
    expect(BigInt(Number(row.crl_number))).toBeGreaterThan(before.number);
    expect(Number(row.next_update_ms)).toBeGreaterThan(Date.now() + 17 * hour);
    const next = await inRevocation(9, (_, { storage }) => storage.getAlarm());
    expect((next ?? 0) - Date.now()).toBeLessThanOrEqual(6 * hour);
  });

  it('is the last one while none can be made, unless it lacks a revocation or is over', async () => {
    const { number } = await fetchCrl(15);
    const forbid = (event: string) =>
      inRevocation(15, (_, { storage }) => {
        storage.sql.exec(`CREATE TRIGGER full BEFORE UPDATE OF ${event} ON publication
          BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
      });
    await forbid('last_number');
    travel(7 * hour);
    expect((await fetchCrl(15)).number).toBe(number);
    await ringAlarmOf(15);
    const next = await inRevocation(15, (_, { storage }) => storage.getAlarm());
    expect((next ?? 0) - Date.now()).toBeLessThanOrEqual(60_000);
    await publish(15, standing(newSerialNumber(15), revokedAs('superseded')));
    expect((await SELF.fetch(crlUrl(15))).status).toBe(503);
    await inRevocation(15, (_, { storage }) => storage.sql.exec('DROP TRIGGER full').toArray());
    expect(await listed(15)).toHaveLength(1);
  });

  it('of an issuer that is no longer configured is not tried for ever', async () => {
    await fetchCrl(15);
    await inRevocation(15, (_, { storage }) => {
      storage.sql.exec("UPDATE publication SET issuer_id = 'gone', crl_changes = -1");
      void storage.setAlarm(Date.now());
    });
    await ringAlarmOf(15);
    expect(await inRevocation(15, (_, { storage }) => storage.getAlarm())).toBeNull();
  });

  it('keeps a certificate for four regular lists after its end', async () => {
    const serialNumber = newSerialNumber(10);
    const notAfterMs = Date.now() + hour;
    await publish(10, standing(serialNumber, { ...revokedAs('superseded'), notAfterMs }));
    expect(await listed(10)).toHaveLength(1);
    let lists = 0;
    for (travel(2 * hour); (await listed(10)).length > 0; travel(6 * hour + 1000)) {
      await ringAlarmOf(10);
      lists += 1;
      expect(lists).toBeLessThan(10);
    }
    expect(lists).toBeGreaterThanOrEqual(4);
  });

  it('keeps naming a distribution point that older certificates name', async () => {
    await fetchCrl(11);
    await inRevocation(11, (_, { storage }) => {
      storage.sql.exec("UPDATE distribution_points SET uri = 'http://old.example/crl/x/11.crl'");
    });
    travel(7 * hour);
    expect((await fetchCrl(11)).distributionPoints).toEqual([
      crlUrl(11),
      'http://old.example/crl/x/11.crl',
    ]);
  });

  it('#44 of a shard of 50,000 revocations is small, and soon made', async () => {
    // A sixteenth, with some to spare: chance spreads the serial numbers.
    const certificates = Array.from({ length: 3500 }, () => newSerialNumber(12));
    for (let i = 0; i < certificates.length; i += 500) {
      const some = certificates.slice(i, i + 500);
      await publish(12, ...some.map((one) => standing(one, revokedAs('keyCompromise'))));
    }
    const began = performance.now();
    const crl = await fetchCrl(12);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(crl.entries).toHaveLength(certificates.length);
    expect(crl.der.length).toBeLessThan(200_000);
    // Another one costs a list of its own, and no more than that.
    await publish(12, standing(newSerialNumber(12), revokedAs('superseded')));
    expect(await listed(12)).toHaveLength(certificates.length + 1);
  });

  it('is stored in parts that a row can hold', async () => {
    const standings = Array.from({ length: 500 }, () =>
      standing(newSerialNumber(13), revokedAs('superseded')),
    );
    await publish(13, ...standings);
    const { der } = await fetchCrl(13);
    const cut = await inRevocation(13, (_, { storage }) => {
      const half = der.length >> 1;
      storage.sql.exec('DELETE FROM crl_parts');
      storage.sql.exec('INSERT INTO crl_parts VALUES (0, ?)', der.slice(0, half));
      storage.sql.exec('INSERT INTO crl_parts VALUES (1, ?)', der.slice(half));
      return true;
    });
    expect(cut).toBe(true);
    await evictDurableObject(revocationObject(13));
    const again = await revocationObject(13).crl(placeOf(13), -1);
    expect(again.ok && hexOf(again.der ?? new Uint8Array())).toBe(hexOf(der));
  });
});

describe('the address of a list', () => {
  it('says how long it may be kept, and answers who has it with 304', async () => {
    const first = await SELF.fetch(crlUrl(14));
    expect(first.headers.get('Content-Type')).toBe('application/pkix-crl');
    expect(first.headers.get('Cache-Control')).toMatch(/^public, max-age=300,/);
    const etag = first.headers.get('ETag') ?? '';
    const known = await SELF.fetch(crlUrl(14), { headers: { 'If-None-Match': `"x", W/${etag}` } });
    expect([known.status, await known.text()]).toEqual([304, '']);
    await publish(14, standing(newSerialNumber(14), revokedAs('superseded')));
    const changed = await SELF.fetch(crlUrl(14), { headers: { 'If-None-Match': etag } });
    expect(changed.status).toBe(200);
    expect(changed.headers.get('ETag')).not.toBe(etag);
  });

  it.each(['16', '-1', '01', '1x', '%31%31', ''])('%s.crl is of no list', async (shard) => {
    const response = await SELF.fetch(`${brokerUrl}/crl/${issuerId}/${shard}.crl`);
    expect(response.status).toBe(shard === '%31%31' ? 200 : 404);
    if (response.status === 404) expect(response.headers.get('Cache-Control')).toBe('no-store');
  });

  it('of another issuer is of no list', async () => {
    const other = 'A'.repeat(43);
    expect((await SELF.fetch(`${brokerUrl}/crl/${other}/1.crl`)).status).toBe(404);
    expect((await SELF.fetch(`${brokerUrl}/certificates/${other}`)).status).toBe(404);
  });

  it('is beside that of the issuer’s certificate', async () => {
    const response = await SELF.fetch(`${brokerUrl}/certificates/${issuerId}`);
    expect(response.headers.get('Content-Type')).toBe('application/pkix-cert');
    expect(hexOf(await response.bytes())).toBe(hexOf(issuer.der));
    expect(response.headers.get('Cache-Control')).toBe('public, max-age=86400');
  });

  it('is alone at a host name of its own', async () => {
    const pkiUrl = 'http://pki.test';
    const elsewhere = await brokerWith({ PKI_URL: pkiUrl });
    const ask = async (path: string) => {
      const response = await elsewhere.fetch(`${pkiUrl}${path}`);
      return response.status;
    };
    expect(await ask(`/crl/${issuerId}/1.crl`)).toBe(200);
    expect(await ask(`/certificates/${issuerId}`)).toBe(200);
    expect(await ask('/ocsp/MAA=')).toBe(200);
    for (const path of ['/healthz', '/v1/key-set', '/v1/admin/log', '/crl', '/ocspx']) {
      expect([path, await ask(path)]).toEqual([path, 404]);
    }
  });

  it('is not one at the host name for client certificates', async () => {
    const paths = [`/crl/${issuerId}/1.crl`, '/ocsp/MAA=', '/ocsp', `/certificates/${issuerId}`];
    for (const path of paths) {
      const response = await SELF.fetch(`${env.MTLS_URL}${path}`);
      expect([path, response.status]).toEqual([path, 404]);
    }
  });
});
