// Fail-open: chosen for one application, signed, bounded, logged, and told to the broker when it is back.
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { failOpenChangeAnswer, failOpenStatementAnswer } from '@countersign/protocol/fail-open';
import { jsonWebKeySet } from '@countersign/protocol/key-set';
import { startSampleSite } from '@countersign/sample-sso';
import {
  createCountersignClient,
  createTransaction,
  type FailOpenEvent,
} from '@countersign/sso-sdk/server';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { openFakeBrowser } from '@countersign/testkit/fake-browser';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AdminDesk } from '../support/admin-command.ts';
import { expectProblem } from '../support/expect-answer.ts';
import { exportChains, hurryDrain, searchLog, untilDrained } from '../support/exported-log.ts';
import { findFreePort } from '../support/free-port.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let desk: AdminDesk;
let client: TestClient;
let other: TestClient;

beforeAll(async () => {
  broker = await TestBroker.start();
  desk = new AdminDesk(broker.url, broker.server.ownerToken);
  client = await broker.client.registerClient();
  other = await broker.client.registerClient();
});
afterAll(async () => {
  desk?.remove();
  await broker?.stopAndRemove();
});

const settingPath = () => `/v1/admin/applications/${client.application}/fail-open`;
const put = (body: object) => broker.client.admin('PUT', settingPath(), body);
const asClient = ({ clientId, clientSecret }: TestClient) => ({
  Authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}`,
});
const ask = (path: string, body: unknown, as = client) =>
  broker.client.post(path, body, asClient(as));
const statementFor = (application: string, as = client) =>
  ask('/v1/fail-open-statements', { application }, as);

/** A sign-in server, with its log and what it keeps on its disk. */
function signInServer() {
  const events: FailOpenEvent[] = [];
  const file = desk.file('fail-open.json');
  const server = createCountersignClient({
    brokerUrl: broker.url,
    clientId: client.clientId,
    authentication: { clientSecret: client.clientSecret },
    timeoutMs: 1_000,
    failOpen: {
      applications: [client.application],
      log: (event) => void events.push(event),
      store: {
        load: async () => (existsSync(file) ? readFileSync(file, 'utf8') : undefined),
        save: (text) => writeFile(file, text, { mode: 0o600 }),
      },
    },
  });
  const until = (type: FailOpenEvent['type']) =>
    expect
      // Whoever asks in vain asks again after 5, 10 and 20 seconds.
      .poll(() => events.filter((event) => event.type === type).length, { timeout: 40_000 })
      .toBeGreaterThan(0);
  const signIn = (subject: string) =>
    server.evaluate({
      subject,
      application: client.application,
      transaction: createTransaction(),
      subjectAuthenticated: true,
    });
  return { server, events, until, signIn };
}

describe('the setting', () => {
  it('is off for every application that nobody has chosen it for', async () => {
    const response = await broker.client.admin('GET', settingPath());
    expect(await response.json()).toMatchObject({ enabled: false });
    const refused = await statementFor(client.application);
    expect(refused.status).toBe(404);
    expect(await refused.json()).toMatchObject({ code: 'fail_open_off' });
  });

  it.each([
    [{ enabled: true }, 'accept_untrusted_devices'],
    [{ enabled: true, accept_untrusted_devices: false }, 'accept_untrusted_devices'],
    [{ enabled: true, accept_untrusted_devices: true, max_age_seconds: 59 }, 'max_age_seconds'],
    [{ enabled: true, accept_untrusted_devices: true, max_age_seconds: 86_401 }, 'max_age_seconds'],
    [{ enabled: 'yes' }, 'enabled'],
    [{}, 'enabled'],
    [{ enabled: false, colour: 'red' }, 'colour'],
  ])('is not changed by %j, and the answer names the member', async (body, field) => {
    const response = await put(body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'field_invalid', field });
    expect(await (await broker.client.admin('GET', settingPath())).json()).toMatchObject({
      enabled: false,
    });
  });

  it('is of an application that there is', async () => {
    const response = await broker.client.admin('PUT', '/v1/admin/applications/none/fail-open', {
      enabled: false,
    });
    expect([response.status, (await response.json()).code]).toEqual([404, 'application_not_found']);
  });

  it('is switched on by command only with the words that say what it means', async () => {
    const { application } = client;
    const unmeant = await desk.run('fail-open', 'on', application);
    expect(unmeant).toMatchObject({ code: 2 });
    expect(unmeant.errors).toContain('Who can cut the broker off can bring that about');
    const on = ['fail-open', 'on', application, '--minutes', '10', '--accept-untrusted-devices'];
    expect(await desk.done(...on)).toMatch(/changed +yes/);
    expect(await desk.done(...on)).toMatch(/changed +no/);
    expect(await desk.done('fail-open', 'show', application)).toMatch(
      /fail-open +on\nfor up to +600 s[\s\S]*from any device/,
    );
  });

  it('is told to whoever looks at the policy, or changes it', async () => {
    const file = desk.file('policy.json');
    expect(await desk.done('policy', 'pull', client.application, file)).toMatch(
      /fail-open +up to 600 s/,
    );
    expect(await desk.done('policy', 'push', client.application, file)).toContain('fail_open');
  });

  it('stays when the application is changed, and is in the log with who chose it', async () => {
    await broker.client.putApplication(client.application, {
      name: 'Another name',
      enforcement: 'enforce',
      replace_policy: true,
    });
    expect(await (await broker.client.admin('GET', settingPath())).json()).toMatchObject({
      enabled: true,
      max_age_seconds: 600,
    });
    await hurryDrain(broker.client);
    await untilDrained(broker.client, broker.shardCount);
    const events = await searchLog(broker.client, { event_type: 'admin.fail_open.update' });
    expect(events).toMatchObject([
      {
        actor: { type: 'admin', id: 'owner' },
        debugContext: { debugData: { enabled: 'true', max_age_seconds: '600' } },
      },
    ]);
  });
});

describe('a statement', () => {
  it('is signed for this client and application, of its own kind, and ends', async () => {
    const { statement, renew_after_seconds } = failOpenStatementAnswer.parse(
      await (await statementFor(client.application)).json(),
    );
    const response = await broker.client.request('/.well-known/jwks.json');
    const { keys } = jsonWebKeySet.parse(await response.json());
    const published = { keys: keys.filter(({ purpose }) => purpose === 'decision') };
    const { payload, protectedHeader } = await jwtVerify(statement, createLocalJWKSet(published), {
      issuer: broker.url,
      audience: client.clientId,
      typ: 'fail-open+jwt',
      algorithms: ['ES256'],
    });
    expect(Object.keys(protectedHeader).toSorted()).toEqual(['alg', 'kid', 'typ']);
    expect(payload.application).toBe(client.application);
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(600);
    expect(renew_after_seconds).toBe(60);
  });

  it('is for none but a client that may ask about the application', async () => {
    for (const [application, as] of [
      [client.application, other],
      [other.application, client],
      ['none', client],
    ] as const) {
      const refused = await statementFor(application, as);
      expect([refused.status, (await refused.json()).code]).toEqual([404, 'fail_open_off']);
    }
    const stranger = { ...client, clientSecret: randomText() };
    expect((await statementFor(client.application, stranger)).status).toBe(401);
    expect((await ask('/v1/fail-open-statements', { application: 'A!' })).status).toBe(400);
    const response = await fetch(`${broker.url}/v1/fail-open-statements`, { method: 'POST' });
    expect(response.status).toBe(401);
  });

  it('is no decision token, nor the other way round', async () => {
    const { statement } = failOpenStatementAnswer.parse(
      await (await statementFor(client.application)).json(),
    );
    const { server } = signInServer();
    const expected = {
      subject: 'ada',
      application: client.application,
      transaction: createTransaction(),
    };
    await expect(server.verifyDecisionToken(statement, expected)).rejects.toMatchObject({
      code: 'decision_token_type_wrong',
    });
    await server.close();
  });
});

describe('an outage', () => {
  it('lets people in with a password, across a restart of the sign-in server, and is reported once', async () => {
    const before = signInServer();
    await before.until('allowed');
    // The broker is there, and has the word: no evidence is a denial.
    expect(await before.signIn('ada')).toMatchObject({
      decision: false,
      reasonCode: 'evidence_missing',
    });

    const lines: string[] = [];
    const { clientId, clientSecret, application } = client;
    const startSite = async () =>
      await startSampleSite({
        port: await findFreePort(),
        ...{ brokerUrl: broker.url, clientId, clientSecret, application },
        failOpenFile: desk.file('sample.json'),
        log: (line) => void lines.push(line),
      });
    const site = await startSite();
    await expect
      .poll(() => lines, { timeout: 40_000 })
      .toContain(`fail-open allowed ${application}`);

    await broker.stop();
    const browser = openFakeBrowser(site);
    await browser.get('/');
    const form = { username: 'grace', password: 'countersign-demo', evidence: '' };
    expect(await browser.post('/sign-in', form)).toMatchObject({
      status: 200,
      outcome: 'not-trusted',
      reasonCode: 'fail_open',
    });
    expect(await browser.post('/sign-in', { ...form, password: 'wrong' })).not.toMatchObject({
      reasonCode: 'fail_open',
    });
    expect(await before.signIn('ada')).toMatchObject({
      decision: true,
      deviceTrusted: false,
      reasonCode: 'fail_open',
      failOpen: { cause: 'broker_unreachable' },
    });
    expect(before.events.filter(({ type }) => type === 'let_in')).toMatchObject([
      { subject: 'ada', application: client.application },
    ]);
    await before.server.close();
    const after = signInServer();
    expect(await after.signIn('bob')).toMatchObject({ reasonCode: 'fail_open' });

    await broker.startAgain();
    await after.until('reported');
    // Once a minute, or when it starts again.
    await site.stop();
    const restarted = await startSite();
    await expect.poll(() => lines, { timeout: 40_000 }).toContain('fail-open reported 1');
    await restarted.stop();
    expect(await after.signIn('ada')).toMatchObject({ decision: false });
    await after.server.close();
    await hurryDrain(broker.client);
    await untilDrained(broker.client, broker.shardCount);
    const events = await searchLog(broker.client, {
      event_type: 'user.authentication.fail_open',
    });
    expect(events.map(({ user }) => user).toSorted()).toEqual(['ada', 'bob', 'grace']);
    expect(events).toMatchObject(
      events.map(() => ({
        severity: 'WARN',
        outcome: { result: 'SUCCESS', reason: 'broker_unreachable' },
        actor: { type: 'client', id: client.clientId },
        application: client.application,
      })),
    );
    // No decision was made: none is on record, and nothing was bound.
    const decisions = await broker.recordedDecisions();
    expect(decisions.filter(({ subject }) => subject === 'bob')).toEqual([]);
  }, 180_000);
});

describe('a report', () => {
  const report = () => ({
    report_id: randomText(16),
    application: 'crm',
    subject: 'carol',
    occurred_at: new Date().toISOString(),
    cause: 'broker_timeout',
    statement_id: randomText(16),
  });
  const recorded = async () => {
    const chains = await exportChains(broker.client, broker.shardCount);
    const records = chains.flatMap(({ rows }) => rows.map(({ record }) => record));
    return records.filter((record) => record.includes('"user":"carol"')).length;
  };

  it('that comes again, alone or with others, is the same; of another client it is another', async () => {
    const [one, two] = [report(), report()];
    for (const reports of [[one], [one, two], [two, two, one]]) {
      const response = await ask('/v1/fail-open-reports', { reports });
      expect(await response.json()).toEqual({ recorded: reports.length });
    }
    const again = { reports: [report()] };
    await Promise.all(Array.from({ length: 10 }, () => ask('/v1/fail-open-reports', again)));
    expect(await recorded()).toBe(3);
    await ask('/v1/fail-open-reports', { reports: [one] }, other);
    expect(await recorded()).toBe(4);
  });

  it.each([
    ['no report', { reports: [] }, 'reports'],
    ['too many', { reports: Array.from({ length: 26 }, report) }, 'reports'],
    ['an id that is too short', { reports: [{ report_id: 'AAAA' }] }, 'reports.0.report_id'],
    ['a cause that there is not', { cause: 'weather' }, 'reports.0.cause'],
    ['a time that is none', { occurred_at: 'yesterday' }, 'reports.0.occurred_at'],
    ['another member', { colour: 'red' }, 'reports.0.colour'],
  ])('with %s is refused, and nothing of it recorded', async (_, given, field) => {
    const before = await recorded();
    const isWhole = 'reports' in given && given.reports.length !== 1;
    const wrong = 'reports' in given ? given.reports[0] : given;
    const body = isWhole ? given : { reports: [{ ...report(), ...wrong }] };
    const response = await ask('/v1/fail-open-reports', body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'field_invalid', field });
    expect(await recorded()).toBe(before);
  });

  it('is taken from clients alone', async () => {
    const stranger = { ...client, clientSecret: randomText() };
    expect((await ask('/v1/fail-open-reports', { reports: [report()] }, stranger)).status).toBe(
      401,
    );
  });
});

describe('switched off', () => {
  it('is what a broker that is read-only still lets it be, and not switched on', async () => {
    const { application } = await broker.client.registerClient();
    const path = `/v1/admin/applications/${application}/fail-open`;
    const on = { enabled: true, accept_untrusted_devices: true };
    await broker.client.admin('PUT', path, on);
    await broker.client.admin('PUT', '/v1/admin/mode', { read_only: true });
    try {
      const off = await broker.client.admin('PUT', path, { enabled: false });
      expect([off.status, (await off.json()).changed]).toEqual([200, true]);
      await expectProblem(await broker.client.admin('PUT', path, on), 503, 'read_only');
    } finally {
      await broker.client.admin('PUT', '/v1/admin/mode', { read_only: false });
    }
  });

  it('says when the longest of the settings before ends, and shows it', async () => {
    const path = `/v1/admin/applications/${other.application}/fail-open`;
    const set = async (body: object) =>
      failOpenChangeAnswer.parse(await (await broker.client.admin('PUT', path, body)).json())
        .statements_end_at;
    const on = (max_age_seconds: number) =>
      set({ enabled: true, accept_untrusted_devices: true, max_age_seconds });
    expect(await on(86_400)).toBeUndefined();
    const end = await on(60);
    const short = await (await statementFor(other.application, other)).json();
    expect(failOpenStatementAnswer.parse(short).renew_after_seconds).toBe(30);
    const endsInMs = Date.parse(end ?? '') - Date.now();
    expect(endsInMs).toBeGreaterThan(86_395_000);
    expect(endsInMs).toBeLessThanOrEqual(86_410_000);
    expect(await set({ enabled: false })).toBe(end);
    expect(await set({ enabled: false })).toBe(end);
    expect(await on(60)).toBe(end);
    expect(await set({ enabled: false })).toBe(end);
    const shown = await (await broker.client.admin('GET', path)).json();
    expect(shown).toMatchObject({ enabled: false, statements_end_at: end });
    expect(shown).not.toHaveProperty('max_age_seconds');
    expect((await statementFor(other.application, other)).status).toBe(404);
    expect(await desk.done('fail-open', 'show', other.application)).toContain(`by ${end}`);
  });

  it('gives no statement any more, and says when the last one ends', async () => {
    const started = signInServer();
    await started.until('allowed');
    await started.server.close();
    const answer = failOpenChangeAnswer.parse(await (await put({ enabled: false })).json());
    const endsInMs = Date.parse(answer.statements_end_at ?? '') - Date.now();
    expect(endsInMs).toBeGreaterThan(595_000);
    expect(endsInMs).toBeLessThanOrEqual(610_000);
    const next = signInServer();
    await next.until('not_allowed');
    await next.server.close();
    await broker.stop();
    const alone = signInServer();
    await expect(alone.signIn('ada')).rejects.toMatchObject({ code: 'broker_unreachable' });
    await alone.server.close();
    await broker.startAgain();
  }, 180_000);
});
