/**
 * The server name of a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3), read before TLS begins. It only
 * chooses who speaks TLS with the client, and that one reads the bytes anew: nothing is judged by what is read here.
 */
export type HelloReading =
  | { readonly complete: false }
  /** `serverName` in lower case; `undefined` when there is none, or the bytes are no ClientHello. */
  | { readonly complete: true; readonly serverName: string | undefined };

/** Ten times what browsers send. */
const maxHelloBytes = 16 * 1024;

const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const hostNameType = 0;

const needsMore: HelloReading = { complete: false };
const noName: HelloReading = { complete: true, serverName: undefined };

/** Reads past the end throw a RangeError, as those of Buffer do. */
class Cursor {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  number(size: 1 | 2 | 3): number {
    const value = this.#bytes.readUIntBE(this.#offset, size);
    this.#offset += size;
    return value;
  }

  take(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw new RangeError('beyond the end');
    const taken = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return taken;
  }

  /** A vector with its length before it (RFC 8446 section 3.4). */
  vector(lengthSize: 1 | 2 | 3): Buffer {
    return this.take(this.number(lengthSize));
  }
}

/** The ClientHello message, put together from the records that carry it; `undefined` while some of it is missing. */
function messageOf(bytes: Buffer): Buffer | undefined {
  const fragments: Buffer[] = [];
  let offset = 0;
  while (bytes.length - offset >= 5) {
    if (bytes[offset] !== handshakeRecord) throw new RangeError('no handshake record');
    const length = bytes.readUInt16BE(offset + 3);
    if (length === 0) throw new RangeError('an empty record');
    fragments.push(bytes.subarray(offset + 5, offset + 5 + length));
    offset += 5 + length;
  }
  const message = Buffer.concat(fragments);
  if (message.length > 0 && message[0] !== clientHello) throw new RangeError('no ClientHello');
  if (message.length < 4) return undefined;
  const end = 4 + message.readUIntBE(1, 3);
  return message.length < end ? undefined : message.subarray(4, end);
}

function serverNameIn(message: Buffer): string | undefined {
  const hello = new Cursor(message);
  hello.take(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  if (hello.isAtEnd) return undefined;
  const extensions = new Cursor(hello.vector(2));
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const data = extensions.vector(2);
    if (type !== serverNameExtension) continue;
    const names = new Cursor(new Cursor(data).vector(2));
    while (!names.isAtEnd) {
      const nameType = names.number(1);
      const name = names.vector(2);
      if (nameType === hostNameType) return name.toString('latin1').toLowerCase();
    }
    return undefined;
  }
  return undefined;
}

/** @param bytes everything that the client has sent so far */
export function readClientHello(bytes: Buffer): HelloReading {
  if (bytes.length === 0) return needsMore;
  if (bytes[0] !== handshakeRecord) return noName;
  try {
    const message = messageOf(bytes);
    if (message === undefined) return bytes.length > maxHelloBytes ? noName : needsMore;
    return { complete: true, serverName: serverNameIn(message) };
  } catch (error) {
    if (error instanceof RangeError) return noName;
    throw error;
  }
}
