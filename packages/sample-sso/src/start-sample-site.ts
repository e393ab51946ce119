import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createCountersignClient, type FailOpenEvent } from '@countersign/sso-sdk/server';
import { createAdaptorServer } from '@hono/node-server';
import { bundlePageScript } from './bundle-page-script.ts';
import { createDemoAccounts } from './demo-accounts.ts';
import { failOpenFile } from './fail-open-file.ts';
import { createSampleApp } from './sample-app.ts';

export type SampleSiteOptions = {
  /** 0 takes any free one. */
  readonly port: number;
  /** Address to listen on, and the name in the URL. Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** PEM; the site speaks plain http without it. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined;
  /** The broker's address for the browser, and the issuer of its tokens. */
  readonly brokerUrl: string;
  /** The broker's address for this server, if it is another. */
  readonly brokerInternalUrl?: string | undefined;
  /** The broker's mTLS URL, if it has one: the site's pages may ask nowhere that they are not told of. */
  readonly mtlsUrl?: string | undefined;
  readonly clientId: string;
  readonly clientSecret: string;
  /** The application's id at the broker. */
  readonly application: string;
  readonly title?: string | undefined;
  /** Lets people in while the broker is away, if its administrators allow it; keeps in this file what that needs. */
  readonly failOpenFile?: string | undefined;
  /** One line for each decision and each refusal; no names, no secrets. */
  readonly log?: ((line: string) => void) | undefined;
};

export type RunningSampleSite = {
  readonly url: string;
  stop(): Promise<void>;
};

const scriptType = 'text/javascript; charset=utf-8';

const readAsset = (name: string) =>
  readFileSync(new URL(`./pages/${name}`, import.meta.url), 'utf8');

/** No names, as in the rest of this log; the report has them, under its id. */
function describeFailOpen(event: FailOpenEvent): string {
  switch (event.type) {
    case 'let_in':
      return `fail-open let_in ${event.cause} ${event.reportId}`;
    case 'reported':
      return `fail-open reported ${event.reports}`;
    case 'report_refused':
      return `fail-open report_refused ${event.code} ${event.reports.length}`;
    case 'allowed':
      return `fail-open allowed ${event.application}`;
    case 'not_allowed':
      return `fail-open not_allowed ${event.application} ${event.detail}`;
    case 'not_renewed':
      return `fail-open not_renewed ${event.application} ${event.detail}`;
    case 'store_failed':
      return `fail-open store_failed ${event.detail}`;
  }
}

/** Rejects with the system's error when the port is taken, with `CountersignError` `options_invalid` for bad options. */
export async function startSampleSite(options: SampleSiteOptions): Promise<RunningSampleSite> {
  const { host = '127.0.0.1', tls, brokerUrl, brokerInternalUrl, clientId, clientSecret } = options;
  const { failOpenFile: path, log = () => undefined } = options;
  const client = { brokerUrl, brokerInternalUrl, clientId, authentication: { clientSecret } };
  const countersign =
    path === undefined
      ? createCountersignClient(client)
      : createCountersignClient({
          ...client,
          failOpen: {
            applications: [options.application],
            log: (event) => log(describeFailOpen(event)),
            store: failOpenFile(path),
          },
        });
  const app = createSampleApp({
    siteTitle: options.title ?? 'Sample sign-in',
    secure: tls !== undefined,
    brokerUrl,
    mtlsUrl: options.mtlsUrl,
    clientId,
    application: options.application,
    countersign,
    accounts: await createDemoAccounts(),
    assets: {
      '/sign-in.js': { type: scriptType, text: bundlePageScript('sign-in') },
      '/passkey.js': { type: scriptType, text: bundlePageScript('passkey') },
      '/styles.css': { type: 'text/css; charset=utf-8', text: readAsset('styles.css') },
      '/icon.svg': { type: 'image/svg+xml', text: readAsset('icon.svg') },
    },
    log,
    now: Date.now,
  });
  const server =
    tls === undefined
      ? createAdaptorServer({ fetch: app.fetch, createServer: createHttpServer })
      : createAdaptorServer({
          fetch: app.fetch,
          createServer: createHttpsServer,
          serverOptions: tls,
        });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, host, () => resolve());
  });
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : options.port;
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${name}:${port}`,
    stop: async () => {
      await new Promise<void>((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        if ('closeAllConnections' in server) server.closeAllConnections();
      });
      await countersign.close();
    },
  };
}
