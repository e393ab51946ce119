import { decodeBase64url } from '@countersign/protocol';
import { describe, expect, test } from 'vitest';
import {
  clearTransactionCookie,
  createTransaction,
  readTransactionCookie,
  serializeTransactionCookie,
} from './transaction.ts';

describe('transaction', () => {
  test('is 32 bytes and new each time', () => {
    const made = Array.from({ length: 100 }, createTransaction);
    expect(new Set(made).size).toBe(100);
    for (const each of made) expect(decodeBase64url(each)).toHaveLength(32);
  });

  test('its cookie is bound to the host wherever https is spoken', () => {
    const transaction = createTransaction();
    expect(serializeTransactionCookie(transaction, { secure: true })).toBe(
      `__Host-countersign-transaction=${transaction}; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure`,
    );
    expect(serializeTransactionCookie(transaction, { secure: false, maxAgeSeconds: 60 })).toBe(
      `countersign-transaction=${transaction}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax`,
    );
    expect(clearTransactionCookie({ secure: true })).toBe(
      '__Host-countersign-transaction=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure',
    );
  });

  test('is read back from among other cookies', () => {
    const transaction = createTransaction();
    for (const secure of [true, false]) {
      const [pair] = serializeTransactionCookie(transaction, { secure }).split(';');
      expect(readTransactionCookie(`a=b; ${pair};c=d`, { secure })).toBe(transaction);
      expect(readTransactionCookie(pair, { secure: !secure })).toBeUndefined();
    }
  });

  test('is not read when missing, planted twice, or not of our making', () => {
    const name = 'countersign-transaction';
    const one = `${name}=${createTransaction()}`;
    const two = `${name}=${createTransaction()}`;
    const headers = [
      undefined,
      null,
      '',
      'a=b',
      name,
      `${name}=`,
      `x${one}`,
      `${one}; ${two}`,
      `${one}=`,
      `${one}x`,
      `${name}="${createTransaction()}"`,
      `${name}=${createTransaction().slice(0, 20)}`,
    ];
    for (const header of headers) {
      expect(readTransactionCookie(header, { secure: false }), String(header)).toBeUndefined();
    }
  });
});
