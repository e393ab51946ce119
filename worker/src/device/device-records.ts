import * as z from 'zod/mini';

/** Rows of a `DeviceObject`, read with a schema: a row that does not fit is damage and fails closed. */

export const blob = z.pipe(
  z.instanceof(ArrayBuffer),
  z.transform((buffer: ArrayBuffer): Uint8Array => new Uint8Array(buffer)),
);

export const tokenRow = z.object({
  device_id: z.string(),
  expires_at_ms: z.int(),
  spent_by_spki_sha256: z.nullable(blob),
  integration_id: z.string(),
  user_id: z.nullable(z.string()),
});

export const deviceRow = z.object({
  device_id: z.string(),
  serial_number: z.nullable(z.string()),
  hardware_uuid: z.nullable(z.string()),
  created_at_ms: z.int(),
  status: z.enum(['active', 'blocked']),
  blocked_reason: z.nullable(z.string()),
  endorsement_key_sha256: z.nullable(blob),
  /** JSON of `ManagementFacts`. */
  management: z.nullable(z.string()),
});
export type DeviceRow = z.infer<typeof deviceRow>;
const deviceColumns = Object.keys(deviceRow.shape).join(', ');
const tokenColumns = Object.keys(tokenRow.shape).join(', ');

export function readOne<Schema extends z.ZodMiniType>(
  schema: Schema,
  cursor: SqlStorageCursor<Record<string, SqlStorageValue>>,
): z.infer<Schema> | undefined {
  const [row] = cursor.toArray();
  return row === undefined ? undefined : schema.parse(row);
}

/** The user's bindings of this epoch and of older ones are void in this shard; 0 when none are. */
export function findTombstone(sql: SqlStorage, userId: string): number {
  const [row] = sql
    .exec<{ epoch: number }>('SELECT epoch FROM user_tombstones WHERE user_id = ?', userId)
    .toArray();
  return row?.epoch ?? 0;
}

export function findToken(sql: SqlStorage, tokenSha256: Uint8Array) {
  return readOne(
    tokenRow,
    sql.exec(`SELECT ${tokenColumns} FROM enrollment_tokens WHERE token_sha256 = ?`, tokenSha256),
  );
}

export function findDevice(sql: SqlStorage, deviceId: string): DeviceRow | undefined {
  return readOne(
    deviceRow,
    sql.exec(`SELECT ${deviceColumns} FROM devices WHERE device_id = ?`, deviceId),
  );
}

export function sameBytes(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && a.length === b.length && a.every((byte, index) => byte === b[index]);
}
