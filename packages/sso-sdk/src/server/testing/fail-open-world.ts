import { randomBytes } from 'node:crypto';
import { failOpenReports } from '@countersign/protocol/fail-open';
import { makeTestKey, type TestKey } from '@countersign/testkit/fake-authorities';
import { CompactSign } from 'jose';
import { expect, vi } from 'vitest';
import { createCountersignClient } from '../countersign-client.ts';
import type {
  FailOpenEvent,
  FailOpenOptions,
  FailOpenStore,
} from '../fail-open/fail-open-options.ts';
import { createTransaction } from '../transaction.ts';

export const brokerUrl = 'https://broker.example.com';
export const clientId = 'sso';
export const application = 'crm';
export const startMs = Date.UTC(2026, 10, 22, 9);
export const ignore = async () => undefined;
export const randomId = () => randomBytes(16).toString('base64url');

/** What `evaluate()` throws while nothing answers. */
export const unreachable = { code: 'broker_unreachable' };

export type Answer = Response | 'unreachable' | 'silent';

/** What the network and the broker behind it do, request by request. */
export class World {
  nowMs = startMs;
  key: TestKey = makeTestKey();
  readonly auditKey: TestKey = makeTestKey();
  isAway = false;
  /** By path, in place of what an honest broker says. */
  readonly answers = new Map<string, () => Answer | undefined | Promise<Answer | undefined>>();
  readonly asked: { readonly path: string; readonly body: string }[] = [];
  readonly events: FailOpenEvent[] = [];
  readonly clients: { close(): Promise<void> }[] = [];
  stored: string | undefined;
  maxAgeSeconds = 600;
  /** How long the server of `hastyClient()` has been at something else. */
  busyMs = 0;
  #clock: { mockRestore(): void } | undefined;

  readonly log = (event: FailOpenEvent) => void this.events.push(event);
  readonly store: FailOpenStore = {
    load: async () => this.stored,
    save: async (text) => {
      this.stored = text;
    },
  };

  statement(claims: object = {}, header: object = {}, key = this.key): Promise<string> {
    const iat = Math.floor(this.nowMs / 1000);
    const exp = iat + this.maxAgeSeconds;
    const honest = { iss: brokerUrl, aud: clientId, application, jti: randomId(), iat, exp };
    return new CompactSign(Buffer.from(JSON.stringify({ ...honest, ...claims })))
      .setProtectedHeader({ alg: 'ES256', typ: 'fail-open+jwt', kid: key.kid, ...header })
      .sign(key.privateKey);
  }

  published({ publicJwk, kid }: TestKey, purpose: string | undefined) {
    return { ...publicJwk, kid, alg: 'ES256', use: 'sig', purpose };
  }

  async #honest(path: string, body: string): Promise<Answer> {
    switch (path) {
      case '/healthz':
        return Response.json({ status: 'ok' });
      case '/.well-known/jwks.json':
        return Response.json({
          keys: [this.published(this.key, 'decision'), this.published(this.auditKey, 'audit')],
        });
      case '/v1/fail-open-statements':
        return Response.json({ statement: await this.statement(), renew_after_seconds: 60 });
      case '/v1/fail-open-reports': {
        const { reports } = failOpenReports.parse(JSON.parse(body));
        return Response.json({ recorded: reports.length });
      }
      default:
        return problem(401, 'client_authentication_failed');
    }
  }

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const path = new URL(input instanceof Request ? input.url : input).pathname;
    const body = typeof init?.body === 'string' ? init.body : '';
    this.asked.push({ path, body });
    const aborted = new Promise<never>((_, reject) => {
      init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
    });
    const answer = await Promise.race([this.#answer(path, body), aborted]);
    if (answer === 'unreachable') throw new TypeError('fetch failed');
    return answer === 'silent' ? await aborted : answer;
  };

  async #answer(path: string, body: string): Promise<Answer> {
    if (this.isAway) return 'unreachable';
    return (await this.answers.get(path)?.()) ?? (await this.#honest(path, body));
  }

  client(options: Partial<FailOpenOptions> = {}, { timeoutMs = 5_000 } = {}) {
    const made = createCountersignClient({
      brokerUrl,
      clientId,
      authentication: { clientSecret: 'secret' },
      timeoutMs,
      fetch: this.fetch,
      now: () => this.nowMs,
      failOpen: { applications: [application], log: this.log, store: this.store, ...options },
    });
    this.clients.push(made);
    return made;
  }

  has(type: FailOpenEvent['type']) {
    return this.events.filter((event) => event.type === type);
  }

  until(type: FailOpenEvent['type'], count = 1) {
    return expect.poll(() => this.has(type).length, { timeout: 10_000, interval: 5 }).toBe(count);
  }

  /** A server that has a statement, and then no broker. */
  async duringOutage(options: Partial<FailOpenOptions> = {}) {
    const client = this.client(options);
    await this.until('allowed');
    this.isAway = true;
    return client;
  }

  /**
   * A server that has a statement and does not wait long for anything else, for tests of silence. Its clock stands still
   * but for `busyMs`: how late this machine is says nothing then.
   */
  async hastyClient() {
    const patient = this.client();
    await this.until('allowed');
    await patient.close();
    this.#clock = vi.spyOn(performance, 'now').mockImplementation(() => this.busyMs);
    return this.client({}, { timeoutMs: 100 });
  }

  async close() {
    this.#clock?.mockRestore();
    for (const client of this.clients) await client.close();
  }
}

export const problem = (status: number, code: string) =>
  Response.json({ type: 'x', title: 'x', status, code }, { status });

export const input = (changes: object = {}) => ({
  subject: 'ada',
  application,
  transaction: createTransaction(),
  subjectAuthenticated: true,
  ...changes,
});
