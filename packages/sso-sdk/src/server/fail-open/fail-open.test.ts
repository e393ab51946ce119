import { failOpenReports } from '@countersign/protocol/fail-open';
import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCountersignClient } from '../countersign-client.ts';
import {
  application,
  brokerUrl,
  clientId,
  ignore,
  input,
  problem,
  randomId,
  startMs,
  unreachable,
  World,
} from '../testing/fail-open-world.ts';
import { mostUnreported } from './fail-open.ts';
import type { FailOpenEvent, FailOpenOptions } from './fail-open-options.ts';
import { keptState } from './kept-state.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

const until = (type: FailOpenEvent['type'], count = 1) => world.until(type, count);
const duringOutage = (options: Partial<FailOpenOptions> = {}) => world.duringOutage(options);

describe('while the broker cannot be reached', () => {
  it('lets an authenticated person in, says so, logs it first and keeps a report', async () => {
    const client = await duringOutage();
    const decision = await client.evaluate(input());
    expect(decision).toMatchObject({
      decision: true,
      deviceTrusted: false,
      reasonCode: 'fail_open',
      failOpen: { cause: 'broker_unreachable', expiresAt: new Date(startMs + 600_000) },
    });
    expect(decision).not.toHaveProperty('decisionToken');
    const [event] = world.has('let_in');
    expect(event).toMatchObject({ subject: 'ada', application, ...decision.failOpen });
    expect(JSON.parse(world.stored ?? '').reports).toMatchObject([
      { subject: 'ada', report_id: decision.failOpen?.reportId },
    ]);
  });

  it.each([
    ['does not answer in time', 'silent', 'broker_timeout'],
    ['fails', 'failed', 'broker_failed'],
  ] as const)('%s: the same', async (_, how, cause) => {
    const client = await world.hastyClient();
    const answer = () => (how === 'silent' ? how : problem(503, 'snapshot_unavailable'));
    world.answers.set('/access/v1/evaluation', answer);
    world.answers.set('/healthz', answer);
    expect(await client.evaluate(input())).toMatchObject({ failOpen: { cause } });
  });

  it('asks the broker for nothing on the way, but whether it is there', async () => {
    const client = await duringOutage();
    const before = world.asked.length;
    await client.evaluate(input());
    const paths = new Set(world.asked.slice(before).map(({ path }) => path));
    expect([...paths]).toEqual(['/access/v1/evaluation', '/healthz']);
  });

  it('lets nobody in once the statement has ended, by the clock that was given', async () => {
    const client = await duringOutage();
    world.nowMs = startMs + 599_999;
    expect(await client.evaluate(input())).toMatchObject({ reasonCode: 'fail_open' });
    world.nowMs = startMs + 600_000;
    await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
  });

  it('lets nobody in without a password, to another application, or to complete a step-up', async () => {
    const client = await duringOutage();
    const refused = [
      client.evaluate(input({ subjectAuthenticated: false })),
      client.evaluate(input({ application: 'payroll' })),
      client.evaluate(input({ application: '__proto__' })),
      client.complete(input()),
    ];
    for (const attempt of refused) await expect(attempt).rejects.toMatchObject(unreachable);
    expect(world.has('let_in')).toEqual([]);
    expect(JSON.parse(world.stored ?? '').reports).toEqual([]);
  });

  it('lets nobody in where that cannot be logged, kept, or told later', async () => {
    const failing = () => {
      throw new Error('no log');
    };
    const withoutLog = await duringOutage({
      log: (event) => (event.type === 'let_in' ? failing() : world.log(event)),
    });
    await expect(withoutLog.evaluate(input())).rejects.toMatchObject(unreachable);
    expect(JSON.parse(world.stored ?? '').reports).toEqual([]);
    const kept = world.stored;
    const save = () => Promise.reject(new Error('disk full'));
    const full = world.client({ store: { load: async () => kept, save } });
    await expect(full.evaluate(input())).rejects.toMatchObject(unreachable);
    const report = {
      report_id: randomId(),
      application,
      subject: 'ada',
      occurred_at: new Date(startMs).toISOString(),
      cause: 'broker_timeout',
      statement_id: randomId(),
    };
    const { statements } = JSON.parse(kept ?? '');
    const reports = Array.from({ length: mostUnreported }, () => report);
    world.stored = JSON.stringify({ version: 1, statements, reports });
    await expect(world.client().evaluate(input())).rejects.toBeInstanceOf(Error);
    expect(world.has('let_in')).toEqual([]);
  });

  it('keeps the report of each of many who come at once', async () => {
    const client = await duringOutage();
    const subjects = Array.from({ length: 20 }, (_, index) => `user-${index}`);
    await Promise.all(subjects.map((subject) => client.evaluate(input({ subject }))));
    const { reports } = keptState.parse(JSON.parse(world.stored ?? ''));
    expect(reports.map(({ subject }) => subject).toSorted()).toEqual(subjects.toSorted());
  });

  it('lets nobody in where the option was not given', async () => {
    await duringOutage();
    const plain = createCountersignClient({
      brokerUrl,
      clientId,
      authentication: { clientSecret: 'secret' },
      fetch: world.fetch,
    });
    await expect(plain.evaluate(input())).rejects.toMatchObject(unreachable);
  });
});

describe('a word of the broker counts, whatever it is', () => {
  const denial = {
    decision: false,
    context: {
      reason_code: 'policy_denied',
      reason_admin: { en: 'x' },
      reason_user: { en: 'x' },
      decision_id: '0.1',
      policy: { version: 1, rule: 'default' },
      device_trusted: false,
    },
  };

  it('a denial is a denial', async () => {
    const client = world.client();
    await until('allowed');
    world.answers.set('/access/v1/evaluation', () => Response.json(denial));
    expect(await client.evaluate(input())).toMatchObject({ reasonCode: 'policy_denied' });
  });

  it.each([
    ['a refusal', () => problem(400, 'field_invalid')],
    ['an unknown client', () => problem(401, 'client_authentication_failed')],
    ['too many requests', () => problem(429, 'rate_limited')],
    ['an answer that nobody understands', () => new Response('hello')],
    ['a redirect', () => new Response(null, { status: 302 })],
    ['an allow without a token', () => Response.json({ ...denial, decision: true })],
    [
      'an allow with a token that does not verify',
      () =>
        Response.json({
          ...denial,
          decision: true,
          context: { ...denial.context, decision_token: 'a.b.c' },
        }),
    ],
  ])('%s lets nobody in', async (_, answer) => {
    const client = world.client();
    await until('allowed');
    world.answers.set('/access/v1/evaluation', answer);
    world.answers.set('/healthz', () => 'unreachable');
    await expect(client.evaluate(input())).rejects.toBeInstanceOf(Error);
    expect(world.has('let_in')).toEqual([]);
  });

  it('an allow whose token cannot be looked at in time lets nobody in', async () => {
    const client = await world.hastyClient();
    const context = {
      ...denial.context,
      decision_token: await world.statement({}, { typ: 'decision+jwt', kid: 'new' }),
    };
    world.answers.set('/.well-known/jwks.json', () => 'silent');
    world.answers.set('/access/v1/evaluation', () =>
      Response.json({ ...denial, decision: true, context }),
    );
    world.answers.set('/healthz', () => 'unreachable');
    await expect(client.evaluate(input())).rejects.toBeInstanceOf(Error);
    expect(world.has('let_in')).toEqual([]);
  });

  it.each([
    ['fails', () => problem(500, 'internal_error')],
    ['is not answered', () => 'silent' as const],
  ])('a request that alone %s lets nobody in: others are answered', async (_, answer) => {
    const client = await world.hastyClient();
    world.answers.set('/access/v1/evaluation', answer);
    await expect(client.evaluate(input())).rejects.toBeInstanceOf(Error);
    expect(world.has('let_in')).toEqual([]);
  });
});

describe('a statement', () => {
  it.each([
    ['for another client', { aud: 'other' }, {}],
    ['of another broker', { iss: 'https://evil.example.com' }, {}],
    ['for another application', { application: 'payroll' }, {}],
    ['that has expired', { iat: startMs / 1000 - 10, exp: startMs / 1000 }, {}],
    ['from the future', { iat: startMs / 1000 + 6, exp: startMs / 1000 + 60 }, {}],
    ['that lives for more than a day', { exp: startMs / 1000 + 86_401 }, {}],
    ['without an end', { exp: undefined }, {}],
    ['of another kind', {}, { typ: 'decision+jwt' }],
    ['that brings its own key', {}, { jwk: {} }],
  ])('%s is never kept', async (_, claims, header) => {
    world.answers.set('/v1/fail-open-statements', async () =>
      Response.json({
        statement: await world.statement(claims, header),
        renew_after_seconds: 60,
      }),
    );
    const client = world.client();
    await until('not_renewed');
    expect(world.has('not_renewed')).toMatchObject([
      { detail: expect.not.stringContaining('keys of the broker cannot be read') },
    ]);
    world.isAway = true;
    await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
  });

  it('of another key is never kept, nor one that was changed', async () => {
    const [header = '', payload = '', signature] = (await world.statement()).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const longer = Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 60 }));
    const forged = [
      await world.statement({}, {}, makeTestKey()),
      await world.statement({}, { kid: world.key.kid }, makeTestKey()),
      [header, longer.toString('base64url'), signature].join('.'),
      `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'fail-open+jwt', kid: world.key.kid })).toString('base64url')}.${payload}.AA`,
    ];
    for (const [index, statement] of forged.entries()) {
      world.isAway = false;
      world.answers.set('/v1/fail-open-statements', () =>
        Response.json({ statement, renew_after_seconds: 60 }),
      );
      const client = world.client({ store: { load: async () => undefined, save: ignore } });
      await until('not_renewed', index + 1);
      world.isAway = true;
      await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
    }
    expect(world.has('allowed')).toEqual([]);
  });

  it('that the store has is used by a server that starts during the outage', async () => {
    await duringOutage();
    expect(await world.client().evaluate(input())).toMatchObject({ reasonCode: 'fail_open' });
    const without = world.client({ store: { load: async () => undefined, save: ignore } });
    await expect(without.evaluate(input())).rejects.toMatchObject(unreachable);
  });

  it('that was changed in the store, anywhere, lets nobody in', async () => {
    await duringOutage();
    const { statements } = JSON.parse(world.stored ?? '');
    const { statement, key } = statements[application];
    const changed = (text: string, at: number) =>
      text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
    const step = Math.ceil(statement.length / 10);
    const forged = Array.from({ length: Math.ceil(statement.length / step) }, (_, part) =>
      changed(statement, part * step),
    );
    const kept = [
      ...forged.map((text) => ({ statement: text, key })),
      { statement, key: { ...key, x: changed(key.x, 5) } },
      { statement, key: makeTestKey().publicJwk },
    ];
    for (const one of kept) {
      const text = JSON.stringify({ version: 1, statements: { [application]: one }, reports: [] });
      const client = world.client({ store: { load: async () => text, save: ignore } });
      await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
    }
    for (const text of ['', 'nonsense', '{"version":2}', '[]']) {
      const client = world.client({ store: { load: async () => text, save: ignore } });
      await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
    }
    expect(world.has('store_failed').length).toBe(4);
  });
});

describe('what happened meanwhile', () => {
  const delivered = () =>
    world.asked
      .filter(({ path }) => path === '/v1/fail-open-reports')
      .flatMap(({ body }) => failOpenReports.parse(JSON.parse(body)).reports);

  it('is delivered when the broker is back, also by a server that was started since', async () => {
    const client = await duringOutage();
    const first = await client.evaluate(input());
    const second = await client.evaluate(input({ subject: 'bob' }));
    await client.close();
    world.isAway = false;
    world.client();
    await until('reported');
    expect(delivered().map(({ subject, report_id }) => [subject, report_id])).toEqual([
      ['ada', first.failOpen?.reportId],
      ['bob', second.failOpen?.reportId],
    ]);
    expect(JSON.parse(world.stored ?? '').reports).toEqual([]);
  });

  it('is brought again under the same id where the answer was lost', async () => {
    const client = await duringOutage();
    await client.evaluate(input());
    await client.close();
    world.isAway = false;
    world.answers.set('/v1/fail-open-reports', () => 'unreachable');
    const cutOff = world.client();
    await expect.poll(() => delivered().length, { timeout: 10_000 }).toBeGreaterThan(0);
    await cutOff.close();
    world.answers.delete('/v1/fail-open-reports');
    world.client();
    await until('reported');
    expect(new Set(delivered().map(({ report_id }) => report_id)).size).toBe(1);
  });

  it('that the broker never takes is given to the log, and does not hold up the rest', async () => {
    const client = await duringOutage();
    for (const subject of ['ada', 'b\ud800b', 'carol']) await client.evaluate(input({ subject }));
    await client.close();
    world.isAway = false;
    world.answers.set('/v1/fail-open-reports', () => {
      const { body } = world.asked.at(-1) ?? { body: '' };
      return body.includes('ud800') ? problem(400, 'json_malformed') : undefined;
    });
    world.client();
    await until('report_refused');
    await until('reported', 2);
    expect(world.has('report_refused')).toMatchObject([{ reports: [{ subject: 'b\ud800b' }] }]);
    expect(keptState.parse(JSON.parse(world.stored ?? '')).reports).toEqual([]);
  });
});

it('outlives a key that nobody can use, and lets nobody in by it', async () => {
  world.answers.set('/.well-known/jwks.json', () =>
    Response.json({ keys: [{ ...world.published(world.key, 'decision'), x: 'AA', y: 'AA' }] }),
  );
  const client = world.client();
  await until('not_renewed');
  expect(world.asked.map(({ path }) => path)).toContain('/.well-known/jwks.json');
  world.isAway = true;
  await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
});

it('names an option that is wrong', () => {
  const make = (failOpen: object) => () =>
    createCountersignClient({
      brokerUrl,
      clientId,
      authentication: { clientSecret: 'secret' },
      // @ts-expect-error what JavaScript may pass
      failOpen,
    });
  expect(make({ applications: [], log: ignore })).toThrow('failOpen.applications');
  expect(make({ applications: ['crm'] })).toThrow('failOpen.log');
});
