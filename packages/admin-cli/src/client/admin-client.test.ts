import { expect, it } from 'vitest';
import * as z from 'zod/mini';
import { AdminClient, BrokerRefusal, BrokerUnreachable } from './admin-client.ts';

const answer = z.object({ id: z.string() });
const problem = (status: number, code: string) =>
  Response.json({ type: 'about:blank', title: 'No.', status, code }, { status });

type Sent = { readonly method: string; readonly key: string | null };

/** A client of a broker that gives these answers in turn; a number is a connection that breaks. */
function clientOf(...answers: (Response | 'broken')[]) {
  const sent: Sent[] = [];
  const pauses: number[] = [];
  const client = new AdminClient({
    brokerUrl: 'https://broker.example',
    token: 'cadm_x',
    sleep: async (ms) => {
      pauses.push(ms);
    },
    fetch: async (_, init) => {
      const headers = new Headers(init?.headers);
      sent.push({ method: init?.method ?? '', key: headers.get('Idempotency-Key') });
      const next = answers.shift();
      if (next === undefined || next === 'broken') throw new TypeError('fetch failed');
      return next;
    },
  });
  return { client, sent, pauses };
}

it('a creation that gets no answer is sent again with the same key, so that it happens once', async () => {
  const { client, sent, pauses } = clientOf(
    'broken',
    problem(409, 'idempotency_in_progress'),
    Response.json({ id: 'a' }),
  );
  expect(await client.ask('POST', '/v1/admin/admins', answer)).toEqual({ id: 'a' });
  expect(sent).toHaveLength(3);
  expect(new Set(sent.map(({ key }) => key)).size).toBe(1);
  expect(sent[0]?.key).toMatch(/^[0-9a-f-]{36}$/);
  expect(pauses).toEqual([500, 1000]);
});

it('another creation has another key, and a question has none', async () => {
  const { client, sent } = clientOf(
    Response.json({ id: 'a' }),
    Response.json({ id: 'b' }),
    Response.json({ id: 'c' }),
  );
  await client.ask('POST', '/v1/admin/admins', answer);
  await client.ask('POST', '/v1/admin/admins', answer);
  await client.get('/v1/admin/admins', answer);
  expect(sent[0]?.key).not.toBe(sent[1]?.key);
  expect(sent[2]).toEqual({ method: 'GET', key: null });
});

it('an answer that breaks off in its middle is none', async () => {
  const broken = new Response(
    new ReadableStream({
      pull: (controller) => controller.error(new Error('reset')),
    }),
  );
  const { client, sent } = clientOf(broken, Response.json({ id: 'a' }));
  expect(await client.ask('PUT', '/v1/admin/mode', answer)).toEqual({ id: 'a' });
  expect(sent).toHaveLength(2);
});

it('gives up after three tries, and does not repeat a deletion or a refusal', async () => {
  const silent = clientOf('broken', 'broken', 'broken');
  await expect(silent.client.get('/x', answer)).rejects.toBeInstanceOf(BrokerUnreachable);
  expect(silent.sent).toHaveLength(3);
  const deletion = clientOf('broken');
  await expect(deletion.client.ask('DELETE', '/x', answer)).rejects.toThrow(BrokerUnreachable);
  expect(deletion.sent).toHaveLength(1);
  const refused = clientOf(problem(403, 'admin_forbidden'));
  await expect(refused.client.ask('POST', '/x', answer)).rejects.toThrow(BrokerRefusal);
  expect(refused.sent).toHaveLength(1);
});

it('what is no answer of a broker is told as that', async () => {
  const page = clientOf(
    ...Array.from({ length: 3 }, () => new Response('<html>', { status: 502 })),
  );
  await expect(page.client.get('/x', answer)).rejects.toThrow(/answered 502/);
  const redirect = clientOf(
    ...Array.from({ length: 3 }, () => Response.redirect('https://elsewhere.example', 302)),
  );
  await expect(redirect.client.get('/x', answer)).rejects.toThrow(BrokerUnreachable);
  const other = clientOf(Response.json({ name: 'a' }));
  await expect(other.client.get('/x', answer)).rejects.toThrow(/something else than it should: id/);
});
