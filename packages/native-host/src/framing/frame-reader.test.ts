import { endianness } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame } from './frame.ts';
import { type FrameEvent, FrameReader } from './frame-reader.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 100);

const maxBytes = 64 * 1024;

function header(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  if (endianness() === 'LE') bytes.writeUInt32LE(length);
  else bytes.writeUInt32BE(length);
  return bytes;
}

/** Cuts `bytes` at the given places. */
function split(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length];
  cuts.sort((a, b) => a - b);
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
}

function readAll(chunks: readonly Uint8Array[], max = maxBytes): FrameEvent[] {
  const reader = new FrameReader(max);
  return chunks.flatMap((chunk) => [...reader.read(chunk)]);
}

describe('FrameReader', () => {
  it('takes the same messages out of a stream however it is split', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 40 }),
        (messages, places) => {
          const stream = Buffer.concat(messages.map(encodeFrame));
          const events = readAll(split(stream, places));
          expect(events).toEqual(messages.map((message) => ({ type: 'message', message })));
        },
      ),
      { seed, numRuns },
    );
  });

  it('takes messages out one byte at a time, and knows where the stream may end', () => {
    const reader = new FrameReader(maxBytes);
    const stream = Buffer.concat([encodeFrame(Buffer.from('a')), encodeFrame(Buffer.from('bc'))]);
    const ends = [...stream].map((byte) => {
      const events = [...reader.read(Uint8Array.of(byte))];
      return `${events.length}${reader.isBetweenFrames ? '|' : ''}`;
    });
    expect(reader.isBetweenFrames).toBe(true);
    expect(ends.join(' ')).toBe('0 0 0 0 1| 0 0 0 0 0 1|');
  });

  it('gives a message of exactly the maximum', () => {
    const message = Buffer.alloc(maxBytes, 1);
    const [event] = readAll([encodeFrame(message)]);
    expect(event).toMatchObject({ type: 'message' });
    expect(event?.type === 'message' && event.message.length).toBe(maxBytes);
  });

  it.each([0, maxBytes + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])(
    'refuses an announced length of %d before its bytes come, and reads nothing after it',
    (length) => {
      const stream = Buffer.concat([
        encodeFrame(Buffer.from('first')),
        header(length),
        encodeFrame(Buffer.from('after')),
      ]);
      expect(readAll([stream])).toEqual([
        { type: 'message', message: new Uint8Array(Buffer.from('first')) },
        { type: 'refused', announcedBytes: length },
      ]);
    },
  );

  it('stays refused whatever comes later', () => {
    const reader = new FrameReader(maxBytes);
    expect([...reader.read(header(0))]).toHaveLength(1);
    expect([...reader.read(encodeFrame(Buffer.from('later')))]).toEqual([]);
  });

  it('never holds more than one message of the maximum for a peer that announces 4 GB', () => {
    const before = process.memoryUsage().arrayBuffers;
    for (let round = 0; round < 1000; round++) readAll([header(0xffff_ffff)]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
  });
});

describe('encodeFrame', () => {
  it('puts the length first, in the byte order of the machine', () => {
    expect(Buffer.from(encodeFrame(Buffer.from('abc')))).toEqual(
      Buffer.concat([header(3), Buffer.from('abc')]),
    );
  });
});
