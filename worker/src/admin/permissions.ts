import type { AdminRole } from '@countersign/protocol/admin-access';

/** What a route of the admin API asks of whoever calls it. */
export const permissions = [
  'admins.read',
  'admins.write',
  'applications.read',
  'applications.write',
  'devices.approve',
  'devices.read',
  'devices.revoke',
  'directory.provision',
  'directory.write',
  'groups.write',
  'integrations.read',
  'integrations.write',
  'issuers.read',
  'issuers.write',
  'log.read',
  'log.stream',
  'mode.read',
  'mode.write',
  'self.read',
  'state.transfer',
  'tokens.create',
  'users.read',
  'users.write',
] as const;
export type Permission = (typeof permissions)[number];

/** Everything but what could make somebody more than they are, or carry everything away. */
const ofAdministrator = permissions.filter(
  (permission) => permission !== 'admins.write' && permission !== 'state.transfer',
);

/** The one map from roles to what they may do. */
export const rolePermissions: Readonly<Record<AdminRole, ReadonlySet<Permission>>> = {
  owner: new Set(permissions),
  administrator: new Set(ofAdministrator),
  application_manager: new Set<Permission>([
    'applications.read',
    'applications.write',
    'devices.read',
    'groups.write',
    'integrations.read',
    'integrations.write',
    'issuers.read',
    'log.read',
    'mode.read',
    'self.read',
    'tokens.create',
    'users.read',
  ]),
  help_desk: new Set<Permission>([
    'applications.read',
    'devices.approve',
    'devices.read',
    'devices.revoke',
    'integrations.read',
    'issuers.read',
    'log.read',
    'mode.read',
    'self.read',
    'tokens.create',
    'users.read',
    'users.write',
  ]),
  read_only: new Set<Permission>([
    'applications.read',
    'devices.read',
    'integrations.read',
    'issuers.read',
    'log.read',
    'mode.read',
    'self.read',
    'users.read',
  ]),
  provisioner: new Set<Permission>(['directory.provision']),
};

/** Who asks: an administrator's id, or `owner` for the owner token of the settings. */
export type AdminIdentity = { readonly adminId: string; readonly role: AdminRole };

export const ownerIdentity: AdminIdentity = { adminId: 'owner', role: 'owner' };

export const mayDo = ({ role }: AdminIdentity, permission: Permission): boolean =>
  rolePermissions[role].has(permission);
