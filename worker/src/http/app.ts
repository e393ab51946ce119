import { HonoBase } from 'hono/hono-base';
import { RegExpRouter } from 'hono/router/reg-exp-router';
import type { Broker } from './broker.ts';
import { logEvent, refuseWithLog } from './route-context.ts';
import { mtlsEvidencePath, routes } from './route-table.ts';

const requestIds = new WeakMap<Request, string>();
/** AuthZEN has any text come back; what is logged is JSON, so that no character of it can forge a line. */
const requestIdPattern = /^[\x20-\x7e]{1,256}$/;

/** The caller's `X-Request-ID` where it is harmless in a log, a fresh one otherwise. */
export function requestIdOf(request: Request): string {
  const known = requestIds.get(request);
  if (known !== undefined) return known;
  const given = request.headers.get('X-Request-ID');
  const id = given !== null && requestIdPattern.test(given) ? given : crypto.randomUUID();
  requestIds.set(request, id);
  return id;
}

/** The broker's HTTP interface. Whatever fails in a way without a code of its own is answered as `internal_error`. */
export function createApp(broker: Broker): HonoBase {
  // The router that `Hono` itself takes for these routes, without the one that it keeps for others.
  const app = new HonoBase({ router: new RegExpRouter() });
  const { mtlsUrl, pkiUrl, brokerUrl } = broker;
  if (mtlsUrl !== undefined) {
    // Where browsers present certificates to whatever page asks, there is nothing but the one address that expects it.
    app.use(async (hono, next) => {
      const { url } = hono.req.raw;
      if (url.startsWith(`${mtlsUrl}/`) && hono.req.path !== mtlsEvidencePath) {
        return refuseWithLog(hono.req.raw, requestIdOf(hono.req.raw))({ code: 'not_found' });
      }
      return await next();
    });
  }
  if (pkiUrl !== brokerUrl) {
    // An address for plain http: a token that somebody sends there by mistake is not answered as if that were right.
    app.use(async (hono, next) => {
      const { url } = hono.req.raw;
      if (url.startsWith(`${pkiUrl}/`) && !/^\/(crl|ocsp|certificates)(\/|$)/.test(hono.req.path)) {
        return refuseWithLog(hono.req.raw, requestIdOf(hono.req.raw))({ code: 'not_found' });
      }
      return await next();
    });
  }
  for (const [method, path, route] of routes) {
    app.on(method, path, (hono) =>
      route(broker, {
        request: hono.req.raw,
        requestId: requestIdOf(hono.req.raw),
        waitUntil: (work) => hono.executionCtx.waitUntil(work),
        refuse: refuseWithLog(hono.req.raw, requestIdOf(hono.req.raw)),
        parameter: (name) => hono.req.param(name) ?? '',
      }),
    );
  }
  for (const path of new Set(routes.map(([, path]) => path))) {
    const allow = routes
      .filter((route) => route[1] === path)
      .map(([method]) => method)
      .join(', ');
    app.all(path, (hono) =>
      refuseWithLog(hono.req.raw, requestIdOf(hono.req.raw))({ code: 'method_not_allowed', allow }),
    );
  }
  app.notFound((hono) =>
    refuseWithLog(hono.req.raw, requestIdOf(hono.req.raw))({ code: 'not_found' }),
  );
  app.onError((error, hono) => {
    const requestId = requestIdOf(hono.req.raw);
    logEvent('failed', { request_id: requestId, error: error.stack ?? String(error) });
    return refuseWithLog(hono.req.raw, requestId)({ code: 'internal_error' });
  });
  return app;
}
