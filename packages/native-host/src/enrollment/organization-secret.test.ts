import { createHash } from 'node:crypto';
import { makeOrganizationSecret } from '@countersign/testkit/organization-secret';
import { compactVerify, importJWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { parseOrganizationSecret, proveEnrollment } from './organization-secret.ts';

const csr = Buffer.from('a request');
const request = {
  brokerUrl: 'https://broker.example.com',
  hardwareId: { serial_number: 'ABC1234' },
  csr,
  nowSeconds: 1_800_000_000,
};

describe('the organization secret', () => {
  it('signs a request that another implementation verifies with its public half', async () => {
    const made = makeOrganizationSecret();
    const secret = parseOrganizationSecret(made.text);
    if (secret === undefined) throw new Error('not read');
    const proof = proveEnrollment(secret, { ...request, user: 'ada' });
    const { payload, protectedHeader } = await compactVerify(
      proof,
      await importJWK(made.publicJwk, 'ES256'),
    );
    expect(protectedHeader).toEqual({
      alg: 'ES256',
      typ: 'enrollment-request+jwt',
      kid: made.integrationId,
    });
    expect(JSON.parse(Buffer.from(payload).toString())).toEqual({
      aud: request.brokerUrl,
      iat: request.nowSeconds,
      jti: expect.stringMatching(/^[\w-]{22}$/),
      hardware_id: request.hardwareId,
      csr_sha256: createHash('sha256').update(csr).digest('base64url'),
      user: 'ada',
    });
    expect(proof).not.toContain(made.text.slice(-43));
  });

  const order = 'FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551';
  const scalar = (hex: string) => Buffer.from(hex, 'hex').toString('base64url');
  const id = `int_${'A'.repeat(22)}`;
  it.each([
    '',
    'A'.repeat(43),
    `cses_${id}`,
    `cses_${id}_${'A'.repeat(42)}`,
    `cses_int_short_${scalar(order.replace(/1$/, '0'))}`,
    `cses_${id}_${scalar('00'.repeat(32))}`,
    `cses_${id}_${scalar(order)}`,
  ])('is not %j', (text) => {
    expect(parseOrganizationSecret(text)).toBeUndefined();
  });
});
