/** Where a row is that an answer names: `<shard>.<sequence>`; `undefined` for a text that names none. */
export function readRowName(
  name: string,
  shardCount: number,
): { readonly shard: number; readonly sequence: number } | undefined {
  const found = /^(\d{1,9})\.(\d{1,15})$/.exec(name);
  const [shard, sequence] = [Number(found?.[1]), Number(found?.[2])];
  return shard < shardCount && sequence > 0 ? { shard, sequence } : undefined;
}
