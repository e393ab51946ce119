import { currentTimeMs } from '../clock.ts';
import type { ReadSnapshot, RegisteredClient } from '../directory/organization-snapshot.ts';
import { authenticateClient } from './authenticate-client.ts';
import type { Broker } from './broker.ts';
import type { RouteContext } from './route-context.ts';

/** A client, with the snapshot that knows it; or the refusal that it is answered. */
export type Authenticated =
  | { readonly ok: true; readonly client: RegisteredClient; readonly read: ReadSnapshot }
  | { readonly ok: false; readonly response: Response };

/** Who asks the decision point, and the organization as it is for this request. */
export async function authenticateRequest(
  broker: Broker,
  context: RouteContext,
): Promise<Authenticated> {
  const nowMs = currentTimeMs();
  const read = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!read.ok) {
    return { ok: false, response: context.refuse({ code: read.code, logDetail: read.detail }) };
  }
  const authentication = await authenticateClient(
    context.request.headers.get('Authorization'),
    read.snapshot,
    broker.brokerUrl,
    nowMs,
  );
  if (authentication.ok) {
    return {
      ok: true,
      client: authentication.client,
      read: { snapshot: read.snapshot, readAtMs: read.readAtMs },
    };
  }
  return {
    ok: false,
    response: context.refuse({
      code: 'client_authentication_failed',
      logDetail: authentication.detail,
    }),
  };
}
