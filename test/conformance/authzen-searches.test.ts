// AuthZEN Authorization API 1.0: searches.
import { actionSearchAnswer, entitySearchAnswer } from '@countersign/protocol/authzen';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessWorld, document, documentAccess, ids, user } from '../support/access-world.ts';
import { expectProblem } from '../support/expect-answer.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let world: AccessWorld;
let client: TestClient;
beforeAll(async () => {
  broker = await TestBroker.start();
  world = new AccessWorld(broker);
  client = await world.newClient();
});
afterAll(() => broker?.stopAndRemove());

describe('searches', () => {
  it('of subjects are for clients that may know who there is', async () => {
    const body = {
      subject: { type: 'user' },
      action: { name: 'read' },
      resource: document('plan'),
    };
    await expectProblem(
      await world.send(client, 'search/subject', body),
      403,
      'subject_search_not_allowed',
    );
    expect(
      (await world.send(client, 'search/resource', { ...body, subject: user('eve') })).status,
    ).toBe(200);
  });

  async function pages(
    path: string,
    body: object,
    by: TestClient,
    limit?: number,
  ): Promise<string[][]> {
    const found: string[][] = [];
    let token: string | undefined;
    do {
      const page = { ...(token === undefined ? { limit } : { token }) };
      const response = await world.send(by, path, { ...body, page });
      expect(response.status, await response.clone().text()).toBe(200);
      const answer = entitySearchAnswer.parse(await response.json());
      expect(answer.page.count).toBe(answer.results.length);
      found.push(answer.results.map(({ id }) => id));
      token = answer.page.next_token;
    } while (token !== '' && found.length < 100);
    return found;
  }

  it('give everything in pages, and each once', async () => {
    const by = await world.newClient({ subject_search: true });
    const body = {
      subject: { type: 'user' },
      action: { name: 'read' },
      resource: document('plan'),
    };
    const all = ['eve', 'guest', ...ids('reader-', 30)];
    for (const limit of [1, 7, 32, 33, 1000, undefined]) {
      const found = await pages('search/subject', body, by, limit);
      expect(found.flat()).toEqual(all);
      if (limit !== undefined) expect(found.slice(0, -1).every((one) => one.length === limit));
    }
    const [none, rest] = await pages('search/subject', body, by, 0);
    expect([none, rest]).toEqual([[], all]);
    const whole = entitySearchAnswer.parse(
      await (await world.send(by, 'search/subject', body)).json(),
    );
    expect(whole.page).toEqual({ next_token: '', count: 32, total: 32 });
    const resources = {
      subject: user('eve'),
      action: { name: 'share' },
      resource: { type: 'document' },
    };
    expect((await pages('search/resource', resources, by, 5)).map((one) => one.length)).toEqual([
      5, 5, 2,
    ]);
  });

  it('find those whom a rule is for without naming them', async () => {
    const by = await world.newClient({ subject_search: true });
    const known = randomText(8);
    const left = randomText(8);
    for (const id of [known, left]) {
      await broker.client.admin('PUT', `/v1/admin/users/${id}`, { active: true });
    }
    await broker.client.admin('PUT', `/v1/admin/users/${left}`, { active: false });
    const rules = [{ id: 'all', when: {}, effect: 'allow' as const }];
    await world.putAccess(by, { ...documentAccess, rules });
    const body = {
      subject: { type: 'user' },
      action: { name: 'read' },
      resource: document('plan'),
    };
    const found = (await pages('search/subject', body, by, 5)).flat();
    expect(found).toContain(known);
    expect(found).not.toContain(left);
    expect(new Set(found).size).toBe(found.length);
    expect(found).toEqual(expect.arrayContaining(['eve', 'reader-00']));
    expect(found).not.toContain('backup');
  });

  it('go on only where they began: by the same client, with the same question', async () => {
    const [by, other] = [
      await world.newClient({ subject_search: true }),
      await world.newClient({ subject_search: true }),
    ];
    const body = {
      subject: user('eve'),
      action: { name: 'read' },
      resource: { type: 'document' },
      context: { note: 'x' },
    };
    const first = entitySearchAnswer.parse(
      await (await world.send(by, 'search/resource', { ...body, page: { limit: 2 } })).json(),
    );
    const token = first.page.next_token;
    expect(token).not.toContain('page');
    const refused = async (changed: object, field = 'page.token', as = by) =>
      await expectProblem(
        await world.send(as, 'search/resource', { ...body, page: { token }, ...changed }),
        400,
        'field_invalid',
        field,
      );
    await refused({ subject: user('guest') });
    await refused({ action: { name: 'share' } });
    await refused({ context: { note: 'y' } });
    await refused({ subject: user('eve', { role: 'owner' }) });
    await refused({ page: { token: `${token.slice(0, -4)}AAAA` } });
    await refused({ page: { token: '' } });
    await refused({ page: { token: 7 } });
    await refused({ page: { token, limit: 3 } }, 'page.limit');
    await refused({ page: { limit: -1 } }, 'page.limit');
    await refused({ page: { limit: '2' } }, 'page.limit');
    await refused({ page: [] }, 'page');
    await refused({}, 'page.token', other);
    const subjects = { ...body, subject: { type: 'user' }, resource: document('plan') };
    const elsewhere = await world.send(by, 'search/subject', { ...subjects, page: { token } });
    await expectProblem(elsewhere, 400, 'field_invalid', 'page.token');
    const next = await world.send(by, 'search/resource', { ...body, page: { token, limit: 2 } });
    expect(entitySearchAnswer.parse(await next.json()).results.map(({ id }) => id)).toEqual([
      'page-02',
      'page-03',
    ]);
  });

  it('find the applications that a shown sign-in would open, and spend and record nothing', async () => {
    const device = await enrollDevice(broker);
    const other = await broker.client.registerClient();
    const watched = await broker.client.registerClient({ enforcement: 'monitor' });
    const strict = await broker.client.registerClient({
      enrollment_strengths: ['hardware_attested'],
    });
    const foreign = await broker.client.registerClient();
    const portal = await broker.client.registerClient();
    const applications = [portal, other, watched, strict].map(({ application }) => application);
    await world.register(portal, { applications: [...applications], subject_search: true });
    const signedIn = await broker.client.signIn(portal, device, 'ada');
    const rows = await world.countRows();

    const body = { subject: user('ada'), action: { name: 'sign_in' } };
    const resource = { type: 'application' };
    const opened = async (context: object) => {
      const response = await world.send(portal, 'search/resource', { ...body, resource, context });
      const answer = entitySearchAnswer.parse(await response.json());
      expect(JSON.stringify(answer)).not.toContain('decision_token');
      return new Set(answer.results.map(({ id }) => id));
    };
    // A device that shows nothing is no trusted one.
    expect(await opened({})).toEqual(new Set([watched.application]));
    const decision_token = signedIn.context.decision_token;
    expect(await opened({ decision_token })).toEqual(
      new Set([portal, other, watched].map(({ application }) => application)),
    );
    expect(await opened({ decision_token: `${decision_token}x` })).toEqual(
      new Set([watched.application]),
    );
    const actionsOf = async (subject: object, id: string) => {
      const asked = { subject, resource: { type: 'application', id }, context: { decision_token } };
      const response = await world.send(portal, 'search/action', asked);
      return actionSearchAnswer.parse(await response.json()).results;
    };
    expect(await actionsOf(user('ada'), other.application)).toEqual([{ name: 'sign_in' }]);
    expect(await actionsOf(user('bob'), other.application)).toEqual([]);
    expect(await actionsOf({ type: 'robot', id: 'ada' }, watched.application)).toEqual([]);
    expect(await actionsOf(user('ada'), foreign.application)).toEqual([]);
    const who = {
      subject: { type: 'user' },
      action: { name: 'sign_in' },
      resource: { type: 'application', id: watched.application },
    };
    expect((await pages('search/subject', who, portal)).flat()).toContain('ada');
    const closed = { ...who, resource: { type: 'application', id: foreign.application } };
    expect(await pages('search/subject', closed, portal)).toEqual([[]]);
    expect(await world.countRows()).toBe(rows);
  });
});
