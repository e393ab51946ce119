import { expect, test } from 'vitest';
import { broker } from './test-broker.ts';
import { runInOrganization } from './test-objects.ts';

const health = async () => await (await broker.request('/healthz')).json();

test('strangers who ask for the health do not ask the organization each time', async () => {
  const before = await health();
  expect(before).toMatchObject({ status: 'ok' });
  await runInOrganization(({ storage }) =>
    storage.sql.exec(`UPDATE settings SET value = value + 1 WHERE name = 'version'`).toArray(),
  );
  const answers = await Promise.all(Array.from({ length: 50 }, health));
  expect(answers).toEqual(Array.from({ length: 50 }, () => before));
});
