import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  EdgeServerError,
  type EdgeServerOptions,
  type RunningEdgeServer,
  startEdgeServer,
  type TlsFiles,
} from '@countersign/edge-server';
import { BrokerClient } from '@countersign/testkit/broker-client';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import * as z from 'zod/mini';
import { builtProgram } from './built-program.ts';
import { findFreePort } from './free-port.ts';

/** What the tests look at in a decision's record; `worker/docs/storage-schema.md` has all of it. */
const recordedDecision = z.object({
  shard: z.int(),
  sequence: z.int(),
  id: z.string(),
  opened: z.boolean(),
  client_id: z.string(),
  application: z.string(),
  subject: z.string(),
  subject_authenticated: z.boolean(),
  decision: z.boolean(),
  reason: z.string(),
  device_trusted: z.boolean(),
  device_id: z.string(),
  bound_now: z.boolean(),
  spent_id: z.optional(z.string()),
});
export type RecordedDecision = z.infer<typeof recordedDecision>;

/** @returns `undefined` for an event that is none, since they share a chain */
export function readDecision(record: string): RecordedDecision | undefined {
  const parsed: unknown = JSON.parse(record);
  const isEvent = typeof parsed === 'object' && parsed !== null && 'kind' in parsed;
  return isEvent ? undefined : recordedDecision.parse(parsed);
}

/** A host name for client certificates, which tests call without asking anybody for its address. */
export const mtlsName = 'mtls.corp.test';

export type TestBrokerOptions = {
  readonly shardCount?: number;
  /** Absolute path of another worker module than the one that ships. */
  readonly workerBundle?: string;
  /** Gives mTLS evidence at `mtlsUrl`. */
  readonly mtls?: boolean;
  /** Publishes revocation by plain HTTP at a port of its own. */
  readonly publication?: boolean;
  /** Where another TLS front brings its clients; the mTLS URL is that front's then. */
  readonly front?: { readonly socket: string; readonly mtlsUrl: string };
  /** How often the newest state is noted beside the data. */
  readonly highWaterMarkIntervalMs?: number;
  /** Instead of a certificate that no client trusts. */
  readonly tlsFiles?: TlsFiles;
  readonly keyRotation?: NonNullable<EdgeServerOptions['keyRotation']>;
  /** Where it may open connections to beside public addresses. */
  readonly outbound?: NonNullable<EdgeServerOptions['outbound']>;
  /** Where the system log is sent to. */
  readonly syslog?: NonNullable<EdgeServerOptions['syslog']>;
};

type Addresses = {
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly mtlsUrl?: string;
  readonly frontSocket?: string;
  readonly pkiUrl?: string;
  readonly pkiListen?: { readonly host: string; readonly port: number };
  readonly tlsFiles?: TlsFiles;
};

async function findAddresses(options: TestBrokerOptions): Promise<Addresses> {
  const { mtls = false, publication = false, front, tlsFiles } = options;
  const pkiPort = publication ? await findFreePort() : undefined;
  const ports = {
    httpPort: await findFreePort(),
    tlsPort: await findFreePort(),
    ...(tlsFiles === undefined ? {} : { tlsFiles }),
    ...(pkiPort === undefined
      ? {}
      : {
          pkiUrl: `http://127.0.0.1:${pkiPort}`,
          pkiListen: { host: '127.0.0.1', port: pkiPort },
        }),
  };
  if (front !== undefined) return { ...ports, mtlsUrl: front.mtlsUrl, frontSocket: front.socket };
  return mtls ? { ...ports, mtlsUrl: `https://${mtlsName}:${ports.tlsPort}` } : ports;
}

/** Few shards: the tests read all of them. */
const defaultShardCount = 4;

/** The broker as it is deployed on one machine: edge server, real workerd, a data folder of its own. */
export class TestBroker {
  readonly client: BrokerClient;
  readonly dataDirectory: string;
  readonly shardCount: number;
  /** Everything that the edge server and the broker have logged, across restarts. */
  readonly logLines: string[];
  readonly #addresses: Addresses;
  readonly #workerBundle: string;
  #server: RunningEdgeServer;

  private constructor(
    server: RunningEdgeServer,
    shardCount: number,
    addresses: Addresses,
    logLines: string[],
    workerBundle: string,
  ) {
    this.#server = server;
    this.#addresses = addresses;
    this.#workerBundle = workerBundle;
    this.shardCount = shardCount;
    this.dataDirectory = server.dataDirectory;
    this.logLines = logLines;
    this.client = new BrokerClient({
      fetch,
      brokerUrl: server.httpUrl,
      ownerToken: server.ownerToken,
    });
  }

  static async start(options: TestBrokerOptions = {}): Promise<TestBroker> {
    const { shardCount = defaultShardCount } = options;
    const workerBundle = options.workerBundle ?? (await builtProgram('worker'));
    for (let attempt = 1; ; attempt++) {
      // In a folder of its own, which also takes what the server keeps beside the data.
      const parent = mkdtempSync(join(tmpdir(), 'countersign-broker-'));
      const dataDirectory = join(parent, 'data');
      const addresses = await findAddresses(options);
      const logLines: string[] = [];
      try {
        const server = await startEdgeServer({
          dataDirectory,
          workerBundle,
          shardCount,
          log: (line) => logLines.push(line),
          ...addresses,
          ...(options.highWaterMarkIntervalMs === undefined
            ? {}
            : { highWaterMarkIntervalMs: options.highWaterMarkIntervalMs }),
          ...(options.outbound === undefined ? {} : { outbound: options.outbound }),
          ...(options.syslog === undefined ? {} : { syslog: options.syslog }),
          ...(options.keyRotation === undefined ? {} : { keyRotation: options.keyRotation }),
        });
        return new TestBroker(server, shardCount, addresses, logLines, workerBundle);
      } catch (error) {
        rmSync(parent, { recursive: true });
        const portWasTaken = error instanceof EdgeServerError && error.failure === 'port_in_use';
        if (!portWasTaken || attempt === 5) throw error;
      }
    }
  }

  get server(): RunningEdgeServer {
    return this.#server;
  }

  get url(): string {
    return this.#server.httpUrl;
  }

  get httpPort(): number {
    return this.#addresses.httpPort;
  }

  get tlsPort(): number {
    return this.#addresses.tlsPort;
  }

  get pkiUrl(): string {
    return this.#addresses.pkiUrl ?? this.url;
  }

  get mtlsUrl(): string {
    const { mtlsUrl } = this.#addresses;
    if (mtlsUrl === undefined) throw new Error('this broker gives no mTLS evidence');
    return mtlsUrl;
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  /** Starts again on the same folder and ports. */
  async startAgain(
    options: { shardCount?: number; highWaterMark?: string; highWaterMarkIntervalMs?: number } = {},
  ): Promise<void> {
    this.#server = await startEdgeServer({
      dataDirectory: this.dataDirectory,
      workerBundle: this.#workerBundle,
      log: (line) => this.logLines.push(line),
      ...this.#addresses,
      ...options,
    });
  }

  async stopAndRemove(): Promise<void> {
    await this.stop();
    rmSync(dirname(this.dataDirectory), { recursive: true });
  }

  /** Starts on another data folder, under the addresses of this one, which must be stopped. */
  async startOn(
    dataDirectory: string,
    shardCount: number,
    options: { readonly highWaterMark?: string } = {},
  ): Promise<TestBroker> {
    const logLines: string[] = [];
    const server = await startEdgeServer({
      dataDirectory,
      workerBundle: this.#workerBundle,
      log: (line) => logLines.push(line),
      ...this.#addresses,
      ...options,
    });
    return new TestBroker(server, shardCount, this.#addresses, logLines, this.#workerBundle);
  }

  /** Every decision on record, shard by shard, in the order of their chains. */
  async recordedDecisions(): Promise<RecordedDecision[]> {
    const decisions: RecordedDecision[] = [];
    for (let shard = 0; shard < this.shardCount; shard++) {
      const { rows } = await this.client.decisions(shard);
      for (const { record } of rows) {
        const decision = readDecision(record);
        if (decision !== undefined) decisions.push(decision);
      }
    }
    return decisions;
  }

  /** The first row of each shard whose hash chain does not verify, as `<shard>.<sequence>`; none when all do. */
  async brokenRows(): Promise<string[]> {
    const broken: string[] = [];
    for (let shard = 0; shard < this.shardCount; shard++) {
      const { rows, head, start } = await this.client.decisions(shard);
      const sequence = firstBrokenRow(rows, head, start);
      if (sequence !== undefined) broken.push(`${shard}.${sequence}`);
    }
    return broken;
  }
}
