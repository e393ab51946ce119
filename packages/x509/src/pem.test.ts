import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePem, decodePemSequence, encodePem } from './pem.ts';

// The same inputs in every run: a failure is never a matter of luck, and always comes back.
fc.configureGlobal({ seed: 20_261_121 });

const der = new Uint8Array(100).map((_, i) => i);
const pem = encodePem('CERTIFICATE', der);
const [begin = '', first = '', second = '', third = '', end = ''] = pem.split('\n');

describe('PEM', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
        const text = encodePem('PUBLIC KEY', bytes);
        expect(decodePem(text, 'PUBLIC KEY')).toEqual({ ok: true, value: bytes });
        expect(decodePem(text.replaceAll('\n', '\r\n'), 'PUBLIC KEY').ok).toBe(true);
        expect(text.split('\n').every((line) => line.length <= 64)).toBe(true);
      }),
    );
  });

  it('reads a chain, and only where a chain is asked for', () => {
    expect(decodePemSequence(pem + pem, 'CERTIFICATE')).toEqual({ ok: true, value: [der, der] });
    expect(decodePem(pem + pem, 'CERTIFICATE')).toMatchObject({ reason: 'malformed_pem' });
  });

  it('needs no line break at the end', () => {
    expect(decodePem(pem.trimEnd(), 'CERTIFICATE').ok).toBe(true);
  });

  it.each<[string, string, string]>([
    ['another label', 'pem_label_not_allowed', encodePem('PRIVATE KEY', der)],
    ['another label at the end', 'malformed_pem', pem.replace('END CERT', 'END X CERT')],
    ['text in front', 'malformed_pem', `subject=CN\n${pem}`],
    ['text behind', 'malformed_pem', `${pem}x\n`],
    ['an empty line behind', 'malformed_pem', `${pem}\n`],
    ['a space at the end of a line', 'malformed_pem', pem.replace(first, `${first} `)],
    ['a header field', 'malformed_pem', pem.replace(first, `Proc-Type: 4,ENCRYPTED\n\n${first}`)],
    ['lines of another length', 'malformed_pem', [begin, first + second, third, end].join('\n')],
    [
      'a short line in the middle',
      'malformed_pem',
      [begin, first.slice(0, 60), first, end].join('\n'),
    ],
    ['an empty last line', 'malformed_pem', pem.replace('\n-----END', '\n\n-----END')],
    ['no padding', 'malformed_pem', encodePem('CERTIFICATE', der.subarray(0, 1)).replace('==', '')],
    [
      'bits behind the last octet',
      'malformed_pem',
      encodePem('CERTIFICATE', der.subarray(0, 1)).replace('AA==', 'AB=='),
    ],
    ['base64url', 'malformed_pem', pem.replace(first, first.replace('A', '-'))],
    ['an empty block', 'malformed_pem', `${begin}\n${end}\n`],
    ['no end', 'malformed_pem', pem.replace(end, '')],
    ['no end at all', 'malformed_pem', `${begin}\n`],
    ['a begin inside', 'malformed_pem', pem.replace(second, begin)],
    ['nothing', 'malformed_pem', ''],
    ['raw DER', 'malformed_pem', String.fromCharCode(...der)],
    ['more than 1 MiB', 'too_large', pem.repeat(10_000)],
  ])('refuses %s', (_, reason, text) => {
    expect(decodePem(text, 'CERTIFICATE')).toMatchObject({ ok: false, reason });
  });
});
