import type { ModeInput } from '@countersign/protocol/admin-access';
import {
  readDeviceTrustEnabled,
  readDirectory,
  readIssuers,
  readLearnMoreUrl,
  readReadOnly,
  writeDeviceTrustEnabled,
  writeDirectory,
  writeIssuers,
  writeLearnMoreUrl,
  writeReadOnly,
} from './organization-settings.ts';
import type { IssuerChoice } from './organization-snapshot.ts';
import type { Outcome } from './record-change.ts';

/** Settings that hold for the whole organization. Within blocks of its object. */

export type Mode = {
  readonly readOnlySeconds: number | undefined;
  readonly requireKnownUsers: boolean;
};

export const readMode = (sql: SqlStorage): Mode => ({
  readOnlySeconds: readReadOnly(sql)?.retryAfterSeconds,
  requireKnownUsers: readDirectory(sql).requireKnownUsers,
});

export function setMode(sql: SqlStorage, input: ModeInput): Outcome<Mode> {
  const before = readMode(sql);
  const mode: Mode = {
    readOnlySeconds: input.read_only ? input.retry_after_seconds : undefined,
    requireKnownUsers: input.require_known_users,
  };
  const isSame =
    before.readOnlySeconds === mode.readOnlySeconds &&
    before.requireKnownUsers === mode.requireKnownUsers;
  if (isSame) return { ok: true, value: before, event: undefined };
  writeReadOnly(
    sql,
    input.read_only ? { retryAfterSeconds: input.retry_after_seconds } : undefined,
  );
  writeDirectory(sql, { requireKnownUsers: input.require_known_users });
  return {
    ok: true,
    value: mode,
    event: {
      event_type: 'admin.mode.update',
      debug_data: {
        read_only: String(input.read_only),
        require_known_users: String(input.require_known_users),
      },
    },
  };
}

/** @returns whether it is on now */
export function setDeviceTrust(
  sql: SqlStorage,
  enabled: boolean,
  isOverride: boolean,
): Outcome<boolean> {
  if (readDeviceTrustEnabled(sql) === enabled) {
    return { ok: true, value: enabled, event: undefined };
  }
  writeDeviceTrustEnabled(sql, enabled);
  return {
    ok: true,
    value: enabled,
    event: {
      event_type: 'admin.device_trust.update',
      debug_data: { enabled: String(enabled), ...(isOverride ? { override: 'true' } : {}) },
    },
  };
}

/** @param url empty: none */
export function setLearnMore(sql: SqlStorage, url: string): Outcome<string> {
  if ((readLearnMoreUrl(sql) ?? '') === url) return { ok: true, value: url, event: undefined };
  writeLearnMoreUrl(sql, url);
  return {
    ok: true,
    value: url,
    event: { event_type: 'admin.learn_more.update', debug_data: { learn_more_url: url } },
  };
}

type IssuerRefusal = {
  readonly ok: false;
  readonly code: 'issuer_in_use';
  readonly detail: string;
};

/** Has an issuer issue from now on. One that was retired is trusted again. */
export function activateIssuer(sql: SqlStorage, issuerId: string): Outcome<IssuerChoice> {
  const before = readIssuers(sql);
  const choice: IssuerChoice = {
    issuing: issuerId,
    retired: before.retired.filter((retired) => retired !== issuerId),
  };
  if (JSON.stringify(before) === JSON.stringify(choice)) {
    return { ok: true, value: before, event: undefined };
  }
  writeIssuers(sql, choice);
  return {
    ok: true,
    value: choice,
    event: { event_type: 'admin.issuer.activate', debug_data: { issuer_id: issuerId } },
  };
}

/**
 * Retires an issuer: none of its certificates counts from now on. Never the one that issues.
 *
 * @param firstIssuerId the issuer that issues while none has been activated
 */
export function retireIssuer(
  sql: SqlStorage,
  issuerId: string,
  firstIssuerId: string,
  isOverride: boolean,
): Outcome<IssuerChoice> | IssuerRefusal {
  const before = readIssuers(sql);
  if (before.retired.includes(issuerId)) return { ok: true, value: before, event: undefined };
  if ((before.issuing ?? firstIssuerId) === issuerId) {
    const detail = 'it issues new certificates: activate another one first';
    return { ok: false, code: 'issuer_in_use', detail };
  }
  const choice = { ...before, retired: [...before.retired, issuerId] };
  writeIssuers(sql, choice);
  return {
    ok: true,
    value: choice,
    event: {
      event_type: 'admin.issuer.retire',
      debug_data: { issuer_id: issuerId, ...(isOverride ? { override: 'true' } : {}) },
    },
  };
}
