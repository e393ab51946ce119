// Policies as files, with their tests, at a broker as it is deployed on one machine.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AdminDesk } from '../support/admin-command.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let desk: AdminDesk;

beforeAll(async () => {
  broker = await TestBroker.start();
  desk = new AdminDesk(broker.url, broker.server.ownerToken);
});
afterAll(async () => {
  desk?.remove();
  await broker?.stopAndRemove();
});

it('tests a policy before it is pushed, and asks what would come of it', async () => {
  const policy = desk.write(
    'guests.yaml',
    `policy:
  enforcement: enforce
  rules:
    # Guests are never on the wiki.
    - { id: no-guests, when: { people: { groups: [guests] } }, effect: deny }
  otherwise: global
`,
  );
  const tests = (effect: string) =>
    desk.write(
      'guests.tests.yaml',
      `tests:
  - name: guests stay out
    given: { user: eve, groups: [guests], device: { trusted: true } }
    expect: { effect: ${effect}, rule: no-guests }
  - name: others need a trusted device
    given: { user: ada }
    expect: { effect: deny, rule: default, reason: evidence_missing }
`,
    );
  await desk.done('groups', 'set', 'guests', desk.write('guests.txt', 'eve\n'), '--name', 'Guests');
  const wiki = desk.write('wiki.json', { name: 'Wiki', enforcement: 'monitor' });
  await desk.done('applications', 'set', 'wiki', wiki);
  await desk.done('policy', 'pull', 'wiki', desk.file('before.yaml'));
  tests('allow');
  const alone = await desk.run('policy', 'test', policy);
  expect(alone).toMatchObject({ code: 1, errors: expect.stringContaining('--global') });
  await desk.done('global-policy', 'pull', desk.file('global.json'));
  for (const command of [
    ['push', 'wiki', policy],
    ['test', policy, '--global', desk.file('global.json')],
  ]) {
    expect(await desk.run('policy', ...command)).toMatchObject({
      code: 1,
      errors: expect.stringMatching(
        /1 of 2 tests failed\n +guests stay out: effect was to be allow and is deny \(rule no-guests/,
      ),
    });
  }
  expect(await desk.done('policy', 'diff', 'wiki', desk.file('before.yaml'))).toContain(
    'Nothing differs.',
  );
  tests('deny');
  expect(await desk.done('policy', 'diff', 'wiki', policy)).toMatch(
    /^- +enforcement: monitor → enforce$[\s\S]+otherwise: deny → global$[\s\S]+^no-guests +added: /m,
  );
  expect(await desk.done('policy', 'push', 'wiki', policy)).toMatch(/^tests +2 passed$/m);
  await desk.done('policy', 'pull', 'wiki', desk.file('after.yaml'));
  expect(await desk.done('policy', 'diff', 'wiki', desk.file('after.yaml'))).toContain(
    'Nothing differs.',
  );
  expect(await desk.done('policy', 'push', 'wiki', desk.file('after.yaml'))).toMatch(
    /^tests +none: there is no .+after\.tests\.yaml$/m,
  );
  expect(await desk.done('applications', 'list')).toMatch(/^wiki +rules +enforce +1 +global/m);

  const asked = ['policy', 'what-if', 'wiki', '--user', 'eve'];
  expect(await desk.done(...asked, '--trusted')).toMatch(/^rule +no-guests$/m);
  const draft = await desk.done(...asked, '--trusted', '--draft', desk.file('before.yaml'));
  expect(draft).toMatch(/^rule +trusted-devices$/m);
  const facts = desk.write('facts.yaml', 'user: ada\ndevice: { trusted: true }\n');
  const other = await desk.done('policy', 'what-if', 'wiki', '--facts', facts);
  expect(other).toMatch(/^no-guests +not_met +people +not_met +group guests +ada$/m);
  expect(await desk.run(...asked, '--platform', 'amiga')).toMatchObject({
    code: 2,
    errors: expect.stringContaining('platform'),
  });

  const wildcard = desk.write('wildcard.yaml', 'policy: { rules: [ *@example.com ] }\n');
  expect(await desk.run('policy', 'lint', wildcard)).toMatchObject({
    code: 1,
    errors: expect.stringContaining('is not YAML: Unresolved alias'),
  });
  for (const kind of ['policy', 'global', 'tests']) {
    await desk.done('policy', 'schema', desk.file(`${kind}.schema.json`), '--of', kind);
    expect(JSON.parse(desk.read(`${kind}.schema.json`))).toMatchObject({ type: 'object' });
  }

  const everybody = { policy: { enforcement: 'monitor', rules: [], otherwise: 'deny' } };
  const global = desk.write('everybody.json', everybody);
  await desk.done('global-policy', 'simulate', global);
  expect(await desk.done('global-policy', 'diff', global)).toContain('enforce → monitor');
  expect(await desk.done('global-policy', 'push', global)).toMatch(/^id +global$/m);
  expect(await desk.done('global-policy', 'versions')).toMatch(/^1 +- +- +built_in/m);
  // It was pulled from before: whoever pushes it now would undo what came after.
  expect(await desk.run('global-policy', 'push', desk.file('global.json'))).toMatchObject({
    code: 1,
    errors: expect.stringContaining('policy_version_conflict'),
  });
  await desk.done('global-policy', 'pull', desk.file('global.json'), '--version', '1');
  await desk.done('global-policy', 'push', desk.file('global.json'));
});
