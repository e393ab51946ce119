import { endianness } from 'node:os';

export type Koffi = typeof import('koffi').default;

const littleEndian = endianness() === 'LE';

/** Values as C has them in memory on this machine. Whatever an address leads to must be kept until the call is over. */
export class CMemory {
  readonly pointerBytes: number;
  readonly ulongBytes: number;
  readonly #koffi: Koffi;

  constructor(koffi: Koffi) {
    this.#koffi = koffi;
    this.pointerBytes = koffi.sizeof('void *');
    this.ulongBytes = koffi.sizeof('ulong');
  }

  /** Room for so many CK_ULONG. */
  ulongs(count: number): Buffer {
    return Buffer.alloc(count * this.ulongBytes);
  }

  pointers(count: number): Buffer {
    return Buffer.alloc(count * this.pointerBytes);
  }

  ulong(value: bigint | number): Buffer {
    const bytes = this.ulongs(1);
    this.#write(bytes, 0, this.ulongBytes, BigInt(value));
    return bytes;
  }

  readUlong(bytes: Uint8Array, index = 0): bigint {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const offset = index * this.ulongBytes;
    return this.ulongBytes === 8
      ? view.getBigUint64(offset, littleEndian)
      : BigInt(view.getUint32(offset, littleEndian));
  }

  /** An array of CK_ATTRIBUTE (type, pointer, length), or of one CK_MECHANISM, which is laid out alike. */
  triples(entries: readonly (readonly [type: number, value: Uint8Array | null])[]): Buffer {
    const size = 2 * this.ulongBytes + this.pointerBytes;
    const bytes = Buffer.alloc(entries.length * size);
    for (const [index, [type, value]] of entries.entries()) {
      const at = index * size;
      this.#write(bytes, at, this.ulongBytes, BigInt(type));
      const address = value === null || value.length === 0 ? 0n : this.#koffi.address(value);
      this.#write(bytes, at + this.ulongBytes, this.pointerBytes, address);
      const length = BigInt(value?.length ?? 0);
      this.#write(bytes, at + this.ulongBytes + this.pointerBytes, this.ulongBytes, length);
    }
    return bytes;
  }

  /** The length in the only entry of `triples`. */
  readTripleLength(bytes: Uint8Array): bigint {
    return this.readUlong(bytes.subarray(this.ulongBytes + this.pointerBytes));
  }

  #write(bytes: Buffer, offset: number, size: number, value: bigint): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (size === 8) view.setBigUint64(offset, value, littleEndian);
    else view.setUint32(offset, Number(value), littleEndian);
  }
}
