import { currentTimeMs } from '../../clock.ts';
import type { Broker } from '../broker.ts';
import type { RouteContext } from '../route-context.ts';

/** `GET /v1/key-set`: the broker's keys for hosts, signed under the organization's root. */
export function getKeySet(broker: Broker): Response {
  return Response.json({ key_set: broker.keySet });
}

/** `GET /.well-known/jwks.json` (RFC 7517): the keys that decision tokens and checkpoints of the log verify with. */
export function getJwks(broker: Broker): Response {
  const keys = [broker.decisionKeys, broker.auditKeys].flatMap(({ accepted }) => [
    ...accepted.values(),
  ]);
  return Response.json({
    keys: keys.map(({ publicJwk, kid }) => ({ ...publicJwk, kid, alg: 'ES256', use: 'sig' })),
  });
}

/** `GET /.well-known/authzen-configuration` (AuthZEN Authorization API 1.0, metadata). */
export function getAuthzenConfiguration(broker: Broker): Response {
  return Response.json({
    policy_decision_point: broker.brokerUrl,
    access_evaluation_endpoint: `${broker.brokerUrl}/access/v1/evaluation`,
  });
}

/**
 * `GET /healthz`: can the broker decide? Answered from the snapshot that decisions use, so that a mismatch of the
 * deployment shows, and so that strangers who ask without end do not keep the organization's one object busy.
 */
export async function getHealth(broker: Broker, context: RouteContext): Promise<Response> {
  const read = await broker.snapshots.read(currentTimeMs(), context.waitUntil);
  if (!read.ok) return context.refuse({ code: read.code, detail: read.detail });
  return Response.json({ status: 'ok', organization_version: read.snapshot.version });
}
