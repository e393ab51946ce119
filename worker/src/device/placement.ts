import { decodeBase64url } from '@countersign/protocol';

/**
 * Which shard holds what: the one pure function behind every object name. Shard numbers are computed from ids that are
 * uniform already (keyed hashes and random ids), from their first 32 bits, modulo the number of shards. That number is
 * stored with the data and never changes in place.
 */
export function shardOfBytes(uniformBytes: Uint8Array, shardCount: number): number {
  if (uniformBytes.length < 4) throw new RangeError('placement needs at least four uniform bytes');
  const view = new DataView(uniformBytes.buffer, uniformBytes.byteOffset, uniformBytes.byteLength);
  return view.getUint32(0) % shardCount;
}

/** Placement of a device id or challenge id; `undefined` when the text is not base64url of at least four bytes. */
export function shardOfId(id: string, shardCount: number): number | undefined {
  const bytes = decodeBase64url(id);
  return bytes === undefined || bytes.length < 4 ? undefined : shardOfBytes(bytes, shardCount);
}

/** Name of the `DeviceObject` of a shard. */
export function deviceObjectName(shard: number): string {
  return `shard-${shard}`;
}

/** Name of the `KeyObject` of a shard. */
export function keyObjectName(shard: number): string {
  return `keys-${shard}`;
}
