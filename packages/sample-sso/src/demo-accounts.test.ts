import { beforeAll, describe, expect, test } from 'vitest';
import { createDemoAccounts, type DemoAccounts, demoPassword } from './demo-accounts.ts';

let accounts: DemoAccounts;

beforeAll(async () => {
  accounts = await createDemoAccounts();
});

describe('demo accounts', () => {
  test('the printed password opens each of them', async () => {
    expect(await accounts.verifyPassword('ada', demoPassword)).toBe('ada');
    expect(await accounts.verifyPassword('grace', demoPassword)).toBe('grace');
  });

  test.each([
    ['ada', ''],
    ['ada', `${demoPassword} `],
    ['ADA', demoPassword],
    ['', demoPassword],
    ['nobody', demoPassword],
    ['__proto__', demoPassword],
  ])('%j with %j is refused', async (userName, password) => {
    expect(await accounts.verifyPassword(userName, password)).toBeUndefined();
  });
});
