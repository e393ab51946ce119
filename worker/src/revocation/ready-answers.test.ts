import type { OcspCertificateId } from '@countersign/x509';
import { describe, expect, it } from 'vitest';
import { isDue, type ReadyAnswer, ReadyAnswers } from './ready-answers.ts';

const nowMs = 1_800_000_000_000;
const idOf = (serialNumber: string, form = 1): OcspCertificateId => ({
  der: Uint8Array.of(form, ...Buffer.from(serialNumber, 'hex')),
  hash: 'SHA-1',
  issuerNameHash: '',
  issuerKeyHash: '',
  serialNumber,
});
const answerOf = (producedAtMs = nowMs): ReadyAnswer => ({
  response: new Uint8Array(),
  producedAtMs,
  nextUpdateMs: producedAtMs + 3_600_000,
  etag: '""',
});

describe('ready answers', () => {
  it('are kept for a minute, by the exact form of the question', () => {
    const ready = new ReadyAnswers();
    const answer = answerOf();
    ready.keep(idOf('01ff'), answer, ready.changes);
    expect(ready.find(idOf('01ff'), nowMs)).toBe(answer);
    expect(ready.find(idOf('01ff'), nowMs + 59_999)).toBe(answer);
    expect(ready.find(idOf('01ff'), nowMs + 60_000)).toBeUndefined();
    expect(ready.find(idOf('01ff', 2), nowMs)).toBeUndefined();
    expect(ready.find(idOf('01fe'), nowMs)).toBeUndefined();
  });

  it('of a clock that was ahead are not handed out', () => {
    const ready = new ReadyAnswers();
    ready.keep(idOf('01ff'), answerOf(nowMs + 1), ready.changes);
    expect(ready.find(idOf('01ff'), nowMs)).toBeUndefined();
  });

  it('are gone in every form when the certificate changes', () => {
    const ready = new ReadyAnswers();
    for (const form of [1, 2]) ready.keep(idOf('01ff', form), answerOf(), ready.changes);
    ready.keep(idOf('01fe'), answerOf(), ready.changes);
    ready.forget([Uint8Array.of(0x01, 0xff)]);
    for (const form of [1, 2]) expect(ready.find(idOf('01ff', form), nowMs)).toBeUndefined();
    expect(ready.find(idOf('01fe'), nowMs)).toBeDefined();
  });

  it('are not kept when they were asked for before a change', () => {
    const ready = new ReadyAnswers();
    const { changes } = ready;
    ready.forget([Uint8Array.of(0x01, 0xff)]);
    ready.keep(idOf('01ff'), answerOf(), changes);
    expect(ready.find(idOf('01ff'), nowMs)).toBeUndefined();
  });

  it('are not more than fit, whatever strangers ask', () => {
    const ready = new ReadyAnswers();
    for (let form = 0; form < 20; form++) ready.keep(idOf('01', form), answerOf(), ready.changes);
    expect(ready.find(idOf('01', 0), nowMs)).toBeUndefined();
    expect(ready.find(idOf('01', 19), nowMs)).toBeDefined();
    for (let number = 0x100000; number <= 0x100000 + 8192; number++) {
      ready.keep(idOf(number.toString(16)), answerOf(), ready.changes);
    }
    expect(ready.find(idOf('01', 19), nowMs)).toBeUndefined();
    expect(ready.find(idOf('100000'), nowMs)).toBeUndefined();
    expect(ready.find(idOf('102000'), nowMs)).toBeDefined();
  });

  it('are renewed once at a time, and again after that', async () => {
    const ready = new ReadyAnswers();
    const wait = Promise.withResolvers<void>();
    let made = 0;
    const make = () => {
      made += 1;
      return wait.promise;
    };
    const first = ready.renew(idOf('01ff'), make);
    await ready.renew(idOf('01ff'), make);
    expect(made).toBe(1);
    wait.resolve();
    await first;
    await ready.renew(idOf('01ff'), make);
    expect(made).toBe(2);
  });

  it('are due for renewal at half of their time', () => {
    expect(isDue(answerOf(), nowMs + 29_999)).toBe(false);
    expect(isDue(answerOf(), nowMs + 30_000)).toBe(true);
  });
});
