import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { buildTlsServerToBeSigned, encodePem } from '@countersign/x509';
import { makeCertificate } from './fake-authorities.ts';
import { listenOnFreePort } from './listen-on-free-port.ts';

/** What a device management does instead of answering; until it is set to `undefined` again. */
export type ManagementFault =
  | { readonly kind: 'unauthorized' }
  | { readonly kind: 'rate_limited'; readonly retryAfterSeconds?: number }
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** 200 with something that is no JSON, or another shape. */
  | { readonly kind: 'garbage'; readonly text?: string }
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'failing' }
  /** The connection breaks. */
  | { readonly kind: 'outage' };

export type ManagementRequest = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
};

export type ManagementAnswer = {
  readonly status: number;
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

export type FakeManagementServer = {
  /** `https://localhost:<port>` */
  readonly url: string;
  /** Authority to be trusted for it. */
  readonly certificatePem: string;
  readonly requests: readonly ManagementRequest[];
  /** Most requests that were under way at the same moment. */
  readonly peakRequests: () => number;
  /** @param on only requests whose path begins so; all when left out */
  setFault(fault: ManagementFault | undefined, on?: string): void;
  stop(): Promise<void>;
};

async function makeServerCertificate() {
  const nowMs = Date.now();
  const { privateKey, certificate } = await makeCertificate(
    'Fake management',
    nowMs,
    (fields) => buildTlsServerToBeSigned({ ...fields, dnsNames: ['localhost'], ipAddresses: [] }),
    undefined,
    nowMs + 86_400_000,
  );
  return {
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }),
    certificatePem: encodePem('CERTIFICATE', certificate.der),
  };
}

let serverCertificate: ReturnType<typeof makeServerCertificate> | undefined;

/** A TLS server for fakes of device managements. `answer` sees requests that no fault took. */
export async function startManagementServer(
  answer: (request: ManagementRequest) => ManagementAnswer,
): Promise<FakeManagementServer> {
  // One for all fakes of a process: whoever trusts one trusts all.
  serverCertificate ??= makeServerCertificate();
  const { key, certificatePem } = await serverCertificate;
  const requests: ManagementRequest[] = [];
  const underWay = new Set<ServerResponse>();
  let peak = 0;
  let current: { fault: ManagementFault; on: string } | undefined;

  const server = createServer({ key, cert: certificatePem }, async (incoming, outgoing) => {
    // Answered is what was ended here: a busy machine hears of it later, and may ask again before.
    for (const other of underWay) {
      if (other.writableEnded || other.destroyed) underWay.delete(other);
    }
    underWay.add(outgoing);
    peak = Math.max(peak, underWay.size);
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
    const url = new URL(incoming.url ?? '/', 'https://localhost');
    const request: ManagementRequest = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    };
    requests.push(request);
    const send = ({ status, json, headers = {} }: ManagementAnswer) => {
      outgoing.writeHead(status, { 'Content-Type': 'application/json', ...headers });
      outgoing.end(json === undefined ? '' : JSON.stringify(json));
    };
    const fault =
      current !== undefined && request.path.startsWith(current.on) ? current.fault : undefined;
    switch (fault?.kind) {
      case undefined:
        return send(answer(request));
      case 'slow':
        setTimeout(() => send(answer(request)), fault.delayMs).unref();
        return;
      case 'unauthorized':
        return send({ status: 401, json: { error: 'unauthorized' } });
      case 'rate_limited': {
        const { retryAfterSeconds } = fault;
        const headers: Record<string, string> =
          retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
        return send({ status: 429, headers });
      }
      case 'garbage':
        outgoing.writeHead(200, { 'Content-Type': 'application/json' });
        outgoing.end(fault.text ?? '<html>maintenance</html>');
        return;
      case 'redirect':
        return send({ status: 302, headers: { Location: fault.location } });
      case 'failing':
        return send({ status: 503, headers: { 'Retry-After': '7' } });
      case 'outage':
        incoming.socket.destroy();
        return;
    }
  });
  const port = await listenOnFreePort(server);
  return {
    url: `https://localhost:${port}`,
    certificatePem,
    requests,
    peakRequests: () => peak,
    setFault: (fault, on = '/') => {
      current = fault === undefined ? undefined : { fault, on };
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
