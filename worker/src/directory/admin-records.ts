import { type AdminAnswer, adminRoles } from '@countersign/protocol/admin-access';
import * as z from 'zod/mini';

/** Administrators on record. Of their tokens the SHA-256 alone. */

export async function sha256OfText(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}

export const adminRow = z.object({
  admin_id: z.string(),
  name: z.string(),
  role: z.enum(adminRoles),
  created_at_ms: z.int(),
  expires_at_ms: z.int(),
  revoked_at_ms: z.nullable(z.int()),
});
export type AdminRow = z.infer<typeof adminRow>;

const columns = Object.keys(adminRow.shape).join(', ');

export function findAdmin(sql: SqlStorage, adminId: string): AdminRow | undefined {
  const [row] = sql.exec(`SELECT ${columns} FROM admins WHERE admin_id = ?`, adminId).toArray();
  return row === undefined ? undefined : adminRow.parse(row);
}

export function findAdminByToken(sql: SqlStorage, tokenSha256: Uint8Array): AdminRow | undefined {
  const [row] = sql
    .exec(`SELECT ${columns} FROM admins WHERE token_sha256 = ?`, tokenSha256)
    .toArray();
  return row === undefined ? undefined : adminRow.parse(row);
}

export function readAdmins(sql: SqlStorage): AdminRow[] {
  return sql
    .exec(`SELECT ${columns} FROM admins ORDER BY created_at_ms, admin_id`)
    .toArray()
    .map((row) => adminRow.parse(row));
}

export function storeAdmin(sql: SqlStorage, admin: AdminRow, tokenSha256: Uint8Array): void {
  sql.exec(
    `INSERT INTO admins (admin_id, name, role, token_sha256, created_at_ms, expires_at_ms,
       revoked_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    admin.admin_id,
    admin.name,
    admin.role,
    tokenSha256,
    admin.created_at_ms,
    admin.expires_at_ms,
    admin.revoked_at_ms,
  );
}

/** What an administrator sees of another, or of themselves. */
export function describeAdmin(admin: AdminRow): AdminAnswer {
  return {
    admin_id: admin.admin_id,
    name: admin.name,
    role: admin.role,
    created_at: new Date(admin.created_at_ms).toISOString(),
    token_expires_at: new Date(admin.expires_at_ms).toISOString(),
    ...(admin.revoked_at_ms === null
      ? {}
      : { revoked_at: new Date(admin.revoked_at_ms).toISOString() }),
  };
}
