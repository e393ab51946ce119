// The signing request that the native host makes and keeps, given to openssl.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { enroll } from '@countersign/native-host';
import { afterAll, expect, it } from 'vitest';
import { Judge } from './x509/judge.ts';

const judge = new Judge();
afterAll(() => judge.remove());

/** An attempt at a broker that is not there leaves the request for the next one. */
async function attempt(stateDirectory: string): Promise<Buffer> {
  const attempted = await enroll({
    brokerUrl: 'http://127.0.0.1:9',
    hardwareId: { serial_number: 'ABC1234' },
    stateDirectory,
    readEnrollmentToken: async () => ({ ok: true, value: 'A'.repeat(43) }),
    nowSeconds: Math.floor(Date.now() / 1000),
  });
  expect(attempted).toMatchObject({ ok: false, reason: 'broker_unreachable' });
  const pending = readFileSync(join(stateDirectory, 'pending-enrollment.json'), 'utf8');
  return Buffer.from(JSON.parse(pending).csr, 'base64url');
}

it('openssl verifies the request, which asks for nothing and is kept for the next attempt', async () => {
  const stateDirectory = join(judge.folder, 'state');
  const csr = await attempt(stateDirectory);
  const text = judge.tell(
    'openssl',
    ...['req', '-verify', '-text', '-noout', '-inform', 'DER'],
    ...['-in', judge.write('request.der', csr)],
  );
  expect(text).toMatch(/verify OK/i);
  expect(text).toMatch('ASN1 OID: prime256v1');
  expect(text).toMatch('Signature Algorithm: ecdsa-with-SHA256');
  expect(text).toMatch(/Attributes:\s+\(none\)\s+(Requested Extensions:\s+)?Signature Algorithm/);
  expect(await attempt(stateDirectory)).toEqual(csr);
});
