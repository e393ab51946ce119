import { endianness } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FrameEvent, FrameReader } from './frame-reader.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 1000);

const maxBytes = 512;
const littleEndian = endianness() === 'LE';

function headerOf(length: number): Buffer {
  const header = Buffer.alloc(4);
  if (littleEndian) header.writeUInt32LE(length);
  else header.writeUInt32BE(length);
  return header;
}

/** What a stream says, read in one piece by the text of the specification: a second reader to compare with. */
function readWhole(stream: Buffer): { events: FrameEvent[]; endsBetweenFrames: boolean } {
  const events: FrameEvent[] = [];
  let at = 0;
  while (stream.length - at >= 4) {
    const length = littleEndian ? stream.readUInt32LE(at) : stream.readUInt32BE(at);
    if (length === 0 || length > maxBytes) {
      events.push({ type: 'refused', announcedBytes: length });
      return { events, endsBetweenFrames: false };
    }
    if (stream.length - at - 4 < length) return { events, endsBetweenFrames: false };
    events.push({
      type: 'message',
      message: new Uint8Array(stream.subarray(at + 4, at + 4 + length)),
    });
    at += 4 + length;
  }
  return { events, endsBetweenFrames: at === stream.length };
}

/** Sizes of the pieces that a pipe hands over, used again from the start when they run out; 0 is an empty read. */
const pieceSizes = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 20 });

function split(stream: Buffer, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0, piece = 0; at < stream.length; piece++) {
    const size = Math.max(sizes[piece % sizes.length] ?? 1, piece % 50 === 0 ? 1 : 0);
    pieces.push(stream.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

const frame = fc
  .uint8Array({ minLength: 1, maxLength: 60 })
  .map((message) => Buffer.concat([headerOf(message.length), message]));
/** Frames, lengths that lie, and plain noise. */
const stream = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: frame },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffff_ffff }).map(headerOf) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: maxBytes + 2 }).map(headerOf) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)) },
    ),
    { maxLength: 10 },
  )
  .map((parts) => Buffer.concat(parts));

describe('FrameReader', () => {
  it('says of any bytes, in any pieces, what they say in one piece', () => {
    fc.assert(
      fc.property(stream, pieceSizes, (bytes, sizes) => {
        const reader = new FrameReader(maxBytes);
        const events = split(bytes, sizes).flatMap((piece) => [...reader.read(piece)]);
        const expected = readWhole(bytes);
        expect(events).toEqual(expected.events);
        expect(reader.isBetweenFrames).toBe(expected.endsBetweenFrames);
      }),
      { seed, numRuns },
    );
  });

  it('gives messages that no later read changes', () => {
    fc.assert(
      fc.property(fc.array(frame, { minLength: 2, maxLength: 6 }), pieceSizes, (frames, sizes) => {
        const reader = new FrameReader(maxBytes);
        // One buffer for every read, as a stream may use it again.
        const reused = Buffer.alloc(64);
        const messages: Uint8Array[] = [];
        for (const piece of split(Buffer.concat(frames), sizes)) {
          reused.set(piece);
          for (const event of reader.read(reused.subarray(0, piece.length))) {
            if (event.type === 'message') messages.push(event.message);
          }
          reused.fill(0xee);
        }
        expect(messages.map((message) => Buffer.from(message))).toEqual(
          frames.map((each) => each.subarray(4)),
        );
      }),
      { seed, numRuns },
    );
  });

  it('holds one message of the maximum at most, whatever lengths are announced', () => {
    const maxMessageBytes = 64 * 1024;
    const announced = fc.oneof(
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.integer({ min: 1, max: maxMessageBytes }),
    );
    const readers: FrameReader[] = [];
    const before = process.memoryUsage().arrayBuffers;
    fc.assert(
      fc.property(announced, fc.uint8Array({ maxLength: 20 }), (length, rest) => {
        const reader = new FrameReader(maxMessageBytes);
        readers.push(reader);
        for (const _ of reader.read(Buffer.concat([headerOf(length), rest]))) break;
      }),
      { seed, numRuns: 300 },
    );
    const held = process.memoryUsage().arrayBuffers - before;
    expect(held).toBeLessThan(readers.length * maxMessageBytes + 1024 * 1024);
  });
});
