import type { AdminChange, AdminInput } from '@countersign/protocol/admin-access';
import type { AdminIdentity } from '../admin/permissions.ts';
import { type AdminRow, findAdmin, findAdminByToken, storeAdmin } from './admin-records.ts';
import type { Outcome } from './record-change.ts';

/** Administrators and their tokens. Within blocks of the organization. */

export type AdminNotFound = { readonly ok: false; readonly code: 'admin_not_found' };
const notFound: AdminNotFound = { ok: false, code: 'admin_not_found' };

export type AdminAuthentication =
  | { readonly ok: true; readonly admin: AdminIdentity }
  | { readonly ok: false; readonly code: 'admin_authentication_failed' };

/** Whose token this is, unless it is revoked or has expired. */
export function authenticateAdmin(
  sql: SqlStorage,
  tokenSha256: Uint8Array,
  nowMs: number,
): AdminAuthentication {
  const admin = findAdminByToken(sql, tokenSha256);
  return admin === undefined || admin.revoked_at_ms !== null || nowMs >= admin.expires_at_ms
    ? { ok: false, code: 'admin_authentication_failed' }
    : { ok: true, admin: { adminId: admin.admin_id, role: admin.role } };
}

export function createAdmin(
  sql: SqlStorage,
  adminId: string,
  input: AdminInput,
  tokenSha256: Uint8Array,
  nowMs: number,
): Outcome<AdminRow> {
  const admin: AdminRow = {
    admin_id: adminId,
    name: input.name,
    role: input.role,
    created_at_ms: nowMs,
    expires_at_ms: nowMs + input.token_ttl_seconds * 1000,
    revoked_at_ms: null,
  };
  storeAdmin(sql, admin, tokenSha256);
  return {
    ok: true,
    value: admin,
    event: {
      event_type: 'admin.admin.create',
      debug_data: { admin_id: adminId, name: input.name, role: input.role },
    },
  };
}

/** Of whom was revoked nothing is changed: they come back under a new id. */
function findActive(sql: SqlStorage, adminId: string): AdminRow | undefined {
  const admin = findAdmin(sql, adminId);
  return admin?.revoked_at_ms === null ? admin : undefined;
}

export function changeAdmin(
  sql: SqlStorage,
  adminId: string,
  { name, role }: AdminChange,
): Outcome<AdminRow> | AdminNotFound {
  const before = findActive(sql, adminId);
  if (before === undefined) return notFound;
  const admin: AdminRow = { ...before, name, role };
  if (before.name === name && before.role === role) {
    return { ok: true, value: admin, event: undefined };
  }
  sql.exec('UPDATE admins SET name = ?, role = ? WHERE admin_id = ?', name, role, adminId);
  return {
    ok: true,
    value: admin,
    event: {
      event_type: 'admin.admin.update',
      debug_data: { admin_id: adminId, name, role, role_before: before.role },
    },
  };
}

/** Gives an administrator another token. The one before is refused from this block's end on. */
export function renewAdminToken(
  sql: SqlStorage,
  adminId: string,
  tokenSha256: Uint8Array,
  expiresAtMs: number,
): Outcome<AdminRow> | AdminNotFound {
  const before = findActive(sql, adminId);
  if (before === undefined) return notFound;
  sql.exec(
    'UPDATE admins SET token_sha256 = ?, expires_at_ms = ? WHERE admin_id = ?',
    tokenSha256,
    expiresAtMs,
    adminId,
  );
  return {
    ok: true,
    value: { ...before, expires_at_ms: expiresAtMs },
    event: { event_type: 'admin.admin_token.reset', debug_data: { admin_id: adminId } },
  };
}

/** Ends an administrator's access, for good. The row stays, for those who read the log. */
export function revokeAdmin(
  sql: SqlStorage,
  adminId: string,
  nowMs: number,
): Outcome<AdminRow> | AdminNotFound {
  const before = findAdmin(sql, adminId);
  if (before === undefined) return notFound;
  if (before.revoked_at_ms !== null) return { ok: true, value: before, event: undefined };
  sql.exec('UPDATE admins SET revoked_at_ms = ? WHERE admin_id = ?', nowMs, adminId);
  return {
    ok: true,
    value: { ...before, revoked_at_ms: nowMs },
    event: {
      event_type: 'admin.admin.revoke',
      debug_data: { admin_id: adminId, name: before.name },
    },
  };
}
