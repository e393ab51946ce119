import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../bytes.ts';
import { encodeElement } from '../der/writer.ts';
import { X509Error } from '../result.ts';
import { transcodeBer } from './transcode-ber.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_122);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 300);

/** A value as it is written in DER, and as it is written in some other way that BER allows. */
type Written = { readonly der: Uint8Array; readonly ber: Uint8Array };

const containers = [0x30, 0x31, 0xa0, 0xa1];

function definite(identifier: number, content: Uint8Array, padding: number): Uint8Array {
  const { length } = content;
  if (padding === 0) return encodeElement(identifier, content);
  const octets = Uint8Array.from([0x84, 0, 0, length >> 8, length & 0xff]);
  return concatBytes(Uint8Array.from([identifier]), octets, content);
}

const indefinite = (identifier: number, content: Uint8Array) =>
  concatBytes(Uint8Array.from([identifier, 0x80]), content, new Uint8Array(2));

const primitive = fc
  .record({
    identifier: fc.constantFrom(0x02, 0x04, 0x06, 0x13, 0x80, 0x81),
    content: fc.uint8Array({ maxLength: 300 }),
    padding: fc.nat({ max: 1 }),
  })
  .map(
    ({ identifier, content, padding }): Written => ({
      der: encodeElement(identifier, content),
      ber: definite(identifier, content, padding),
    }),
  );

/** An OCTET STRING that BER has in pieces. */
const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }).map(
  (contents): Written => ({
    der: encodeElement(0x04, ...contents),
    ber: indefinite(0x24, concatBytes(...contents.map((content) => encodeElement(0x04, content)))),
  }),
);

const written = fc.letrec<{ value: Written }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    primitive,
    pieces,
    fc
      .record({
        identifier: fc.constantFrom(...containers),
        members: fc.array(tie('value'), { maxLength: 4 }),
        form: fc.constantFrom('definite', 'padded', 'indefinite'),
      })
      .map(({ identifier, members, form }): Written => {
        const content = concatBytes(...members.map(({ ber }) => ber));
        return {
          der: encodeElement(identifier, ...members.map(({ der }) => der)),
          ber:
            form === 'indefinite'
              ? indefinite(identifier, content)
              : definite(identifier, content, form === 'padded' ? 1 : 0),
        };
      }),
  ),
})).value;

describe('a message in BER', () => {
  it('is the same message in DER', () => {
    fc.assert(
      fc.property(written, ({ der, ber }) => {
        expect(Buffer.from(transcodeBer(ber))).toEqual(Buffer.from(der));
        expect(Buffer.from(transcodeBer(der))).toEqual(Buffer.from(der));
      }),
      { seed, numRuns },
    );
  });

  it('of any bytes is transcoded or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          transcodeBer(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(X509Error);
        }
      }),
      { seed, numRuns: numRuns * 5 },
    );
  });

  it.each([
    ['nested without end', new Uint8Array(4000).map((_, i) => (i % 2 === 0 ? 0x30 : 0x80))],
    [
      'of too many elements',
      encodeElement(
        0x30,
        new Uint8Array(20_000).map((_, i) => (i % 2 === 0 ? 0x05 : 0)),
      ),
    ],
    ['with a tail', Uint8Array.from([0x05, 0x00, 0x00])],
    ['cut off', Uint8Array.from([0x30, 0x80, 0x05, 0x00, 0x00])],
    ['of a tag in several octets', Uint8Array.from([0x1f, 0x81, 0x00])],
    ['of a primitive without a length', Uint8Array.from([0x04, 0x80, 0x00, 0x00])],
    ['of a length that is larger than any message', Uint8Array.from([0x04, 0x85, 1, 1, 1, 1, 1])],
  ])('%s is refused', (_, bytes) => {
    expect(() => transcodeBer(bytes)).toThrow(X509Error);
  });
});
