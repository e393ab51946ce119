import { adminToken } from '@countersign/protocol/admin-access';
import { parseFields } from '@countersign/protocol/schemas';
import { type AdminIdentity, mayDo, ownerIdentity, type Permission } from '../admin/permissions.ts';
import type { AdminEventType } from '../audit/system-log-event.ts';
import { currentTimeMs } from '../clock.ts';
import { sha256OfText } from '../directory/admin-records.ts';
import { secretMatches } from './authenticate-client.ts';
import { askObject, type Broker } from './broker.ts';
import { onlyOnce } from './idempotency.ts';
import type { Problem } from './problem.ts';
import type { RouteContext } from './route-context.ts';

/** A route's context, with who asks. */
export type AdminContext = RouteContext & { readonly admin: AdminIdentity };

type AdminHandler = (broker: Broker, context: AdminContext) => Promise<Response> | Response;

/** What a route says of itself; `http/app.ts`, its tests and the OpenAPI document read it. */
export type AdminRule = {
  readonly permission: Permission;
  /** What it is in the organization's log; every route that changes something has one. */
  readonly event?: AdminEventType;
  /** It records its event itself, in the block that makes the change: what it changes is the organization's own. */
  readonly recorded?: 'with_change';
  /** A question that is too long for an address: nothing is changed, and nothing of it is kept. */
  readonly isQuestion?: boolean;
  /** It only takes trust away, or ends the mode itself: permitted while the broker is read-only. */
  readonly whileReadOnly?: boolean;
  /** There is no snapshot while an import is running; only the owner token is known then. */
  readonly whileImporting?: boolean;
};

export type AdminRoute = ((broker: Broker, context: RouteContext) => Promise<Response>) & {
  readonly rule: AdminRule;
};

type Authentication =
  | { readonly ok: true; readonly admin: AdminIdentity }
  | { readonly ok: false; readonly problem: Problem };

const refusedAuthentication = {
  ok: false,
  problem: { code: 'admin_authentication_failed' },
} as const;

/** Bearer only: nothing a browser would send by itself. */
function bearerOf(request: Request): string | undefined {
  const [scheme, token = '', ...rest] = (request.headers.get('Authorization') ?? '').split(' ');
  return scheme?.toLowerCase() === 'bearer' && rest.length === 0 ? token : undefined;
}

/** The owner token of the settings, or a token of an administrator on record. */
async function authenticate(
  broker: Broker,
  request: Request,
  whileImporting: boolean,
): Promise<Authentication> {
  const token = bearerOf(request);
  if (token === undefined) return refusedAuthentication;
  if (secretMatches(token, broker.ownerTokenSha256)) return { ok: true, admin: ownerIdentity };
  // Texts that are no token of ours cost the organization's one object nothing.
  if (whileImporting || !parseFields(adminToken, token).ok) return refusedAuthentication;
  const tokenSha256 = await sha256OfText(token);
  const known = await askObject(() => broker.organization().authenticateAdmin(tokenSha256));
  if (known.ok) return known;
  return known.code === 'storage_unavailable'
    ? { ok: false, problem: { code: known.code } }
    : refusedAuthentication;
}

const isChange = (request: Request) => request.method !== 'GET' && request.method !== 'HEAD';

/** Refuses what may not be asked now, or by this administrator. */
async function examine(
  broker: Broker,
  context: RouteContext,
  admin: AdminIdentity,
  rule: AdminRule,
): Promise<Problem | undefined> {
  if (rule.whileImporting === true) {
    return mayDo(admin, rule.permission) ? undefined : { code: 'admin_forbidden' };
  }
  const read = await broker.snapshots.read(currentTimeMs(), context.waitUntil);
  if (!read.ok) return { code: read.code, detail: read.detail };
  if (!mayDo(admin, rule.permission)) {
    return {
      code: 'admin_forbidden',
      detail: `${admin.role} lacks ${rule.permission}`,
      logDetail: `${admin.adminId}, ${admin.role}, lacks ${rule.permission}`,
    };
  }
  const { readOnly } = read.snapshot;
  if (readOnly !== undefined && isChange(context.request) && rule.whileReadOnly !== true) {
    return { code: 'read_only', retryAfterSeconds: readOnly.retryAfterSeconds };
  }
  return undefined;
}

/**
 * Puts in front of a route of the admin API: who asks, whether they may, whether the broker is read-only, and the
 * `Idempotency-Key` of what creates. What the route changes elsewhere than in the organization is noted in the
 * organization's log after it, before its answer leaves.
 */
export function forAdmin(allowed: Permission | AdminRule, handler: AdminHandler): AdminRoute {
  const rule: AdminRule = typeof allowed === 'string' ? { permission: allowed } : allowed;
  const route = async (broker: Broker, context: RouteContext): Promise<Response> => {
    const { request } = context;
    const authenticated = await authenticate(broker, request, rule.whileImporting === true);
    if (!authenticated.ok) return context.refuse(authenticated.problem);
    const { admin } = authenticated;
    const problem = await examine(broker, context, admin, rule);
    if (problem !== undefined) return context.refuse(problem);
    const handle = async (once: RouteContext) => {
      const response = await handler(broker, { ...once, admin });
      return await noteChange(broker, context, admin, rule, response);
    };
    const isOnce = request.method === 'POST' && rule.whileImporting !== true && !rule.isQuestion;
    if (!isOnce) return await handle(context);
    return await onlyOnce(broker, context, admin, handle);
  };
  return Object.assign(route, { rule });
}

/** An answer to a change does not leave before the change is in the log. */
async function noteChange(
  broker: Broker,
  context: RouteContext,
  admin: AdminIdentity,
  { event, recorded, whileImporting }: AdminRule,
  response: Response,
): Promise<Response> {
  if (event === undefined || recorded === 'with_change' || !response.ok) return response;
  // Until an import has ended, the organization's log is still being brought in.
  if (whileImporting === true) return response;
  const noted = await askObject(() =>
    broker.organization().noteAdminEvent(admin.adminId, event, {
      path: new URL(context.request.url).pathname,
      request_id: context.requestId,
    }),
  );
  return noted.ok ? response : context.refuse({ code: noted.code });
}
