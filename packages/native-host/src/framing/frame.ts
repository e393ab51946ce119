import { endianness } from 'node:os';

/** A frame of native messaging: the length of the message as 32 bits in the machine's own byte order, then the message. */
export const frameHeaderBytes = 4;

const littleEndian = endianness() === 'LE';

export function readFrameLength(header: Uint8Array): number {
  return new DataView(header.buffer, header.byteOffset, frameHeaderBytes).getUint32(
    0,
    littleEndian,
  );
}

/** Puts the length before the message. */
export function encodeFrame(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(frameHeaderBytes + message.length);
  new DataView(frame.buffer).setUint32(0, message.length, littleEndian);
  frame.set(message, frameHeaderBytes);
  return frame;
}
