// AuthZEN Authorization API 1.0: whatever is sent to any of its addresses, against the plainest reading of the rules.
import { accessRequest } from '@countersign/protocol/authzen';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { AccessWorld } from '../support/access-world.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let world: AccessWorld;
beforeAll(async () => {
  broker = await TestBroker.start();
  world = new AccessWorld(broker);
});
afterAll(() => broker?.stopAndRemove());

/** What the rules of the documents come to, in the plainest way. */
function naive({ subject, action, resource }: Asked): boolean {
  const who = `${subject.type} ${subject.id}`;
  const isEditor = who === 'user eve' || who === 'service backup';
  const isReader = isEditor || who === 'user guest' || /^user reader-[0-2]\d$/.test(who);
  if (resource.type !== 'document') return false;
  if (action.name === 'read') return isReader;
  return action.name === 'share' && isEditor && /^page-(0\d|1[01])$/.test(resource.id);
}
type Asked = z.infer<typeof accessRequest>;
const found = z.object({ results: z.array(z.record(z.string(), z.string())) });

describe('#68 whatever is sent', () => {
  /** JSON near to what is understood. */
  const word = fc.constantFrom(
    ...['role', 'owner', 'editor', 'secret', 'constructor', '__proto__', 'true', 'x', ''],
  );
  const leaf = fc.oneof(word, fc.boolean(), fc.integer(), fc.constant(null));
  const bag = fc.dictionary(word, fc.oneof(leaf, fc.array(leaf, { maxLength: 3 })), { maxKeys: 3 });
  const sometimes = <Value>(good: fc.Arbitrary<Value>) =>
    fc.oneof({ weight: 40, arbitrary: good }, { weight: 1, arbitrary: leaf });
  const entityOf = (types: readonly string[], names: readonly string[]) =>
    sometimes(
      fc.record(
        {
          type: sometimes(fc.constantFrom(...types)),
          id: sometimes(fc.constantFrom(...names)),
          properties: sometimes(bag),
        },
        { requiredKeys: ['type', 'id'] },
      ),
    );
  const members = {
    subject: entityOf(
      ['user', 'user', 'service'],
      ['eve', 'eve', 'guest', 'reader-07', 'backup', 'mallory'],
    ),
    action: sometimes(
      fc.record(
        {
          name: sometimes(
            fc.constantFrom(...['read', 'read', 'share', 'share', 'write', 'print', 'sign_in']),
          ),
          properties: sometimes(bag),
        },
        { requiredKeys: ['name'] },
      ),
    ),
    resource: entityOf(
      ['document', 'document', 'document', 'document', 'application', 'record'],
      ['plan', 'page-00', 'page-00', 'page-11', 'unlisted'],
    ),
    context: sometimes(bag),
  };
  const evaluation = fc.record(members, { requiredKeys: ['subject', 'action', 'resource'] });
  const path = fc.constantFrom(
    ...['evaluation', 'evaluations', 'search/subject', 'search/resource', 'search/action'],
  );
  const page = sometimes(fc.record({ limit: sometimes(fc.nat(5)) }));
  const body = fc.record(
    {
      ...members,
      page,
      options: sometimes(bag),
      evaluations: sometimes(fc.array(sometimes(evaluation), { maxLength: 4 })),
    },
    { requiredKeys: ['subject', 'action', 'resource'] },
  );

  it('is answered, never with a server error, and permits what the rules do and no more', async () => {
    const by = await world.newClient({
      subject_search: true,
      property_sources: [{ entity: 'subject', name: 'secret' }],
    });
    let permits = 0;
    const hold = (decision: unknown, request: unknown) => {
      expect(typeof decision).toBe('boolean');
      const parsed = accessRequest.safeParse(request);
      expect(decision).toBe(parsed.success && naive(parsed.data));
      if (decision === true) permits += 1;
    };
    await fc.assert(
      fc.asyncProperty(path, body, async (where, sent) => {
        const response = await world.send(by, where, sent);
        const text = await response.text();
        expect([200, 400, 429], text).toContain(response.status);
        if (response.status !== 200) return;
        const answer = JSON.parse(text);
        if (where.startsWith('search/')) {
          const kind = where.slice('search/'.length);
          const { results } = found.parse(answer);
          const { subject, action, resource } = { ...sent } as Record<string, object>;
          for (const result of results) {
            hold(true, { subject, action, resource, [kind]: result });
          }
        } else if (answer.evaluations === undefined) hold(answer.decision, sent);
        else {
          const given = z.object({ evaluations: z.array(z.unknown()) }).parse(sent).evaluations;
          for (const [place, { decision }] of answer.evaluations.entries()) {
            hold(decision, given[place]);
          }
        }
      }),
      { numRuns: 400, seed: 68 },
    );
    expect(permits).toBeGreaterThan(50);
  });

  it('is no server error and no permit where it is anything at all', async () => {
    const by = await world.newClient({ subject_search: true });
    const anything = fc.oneof(
      fc.json({ maxDepth: 4 }),
      fc.string({ unit: 'binary' }),
      fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify({ evaluations: value })),
      fc
        .tuple(fc.jsonValue(), fc.jsonValue(), fc.jsonValue())
        .map(([subject, action, resource]) => JSON.stringify({ subject, action, resource })),
    );
    await fc.assert(
      fc.asyncProperty(path, anything, async (where, sent) => {
        const response = await world.send(by, where, sent);
        const text = await response.text();
        expect([200, 400], text).toContain(response.status);
        expect(text).not.toContain('"decision":true');
      }),
      { numRuns: 200, seed: 68 },
    );
  });
});
