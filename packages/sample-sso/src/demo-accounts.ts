import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** Sample data, printed on the sign-in page. */
export const demoUserNames = ['ada', 'grace'] as const;
export const demoPassword = 'countersign-demo';

export type DemoAccounts = {
  /** The account's one spelling of the user name when the password is right. */
  verifyPassword(userName: string, password: string): Promise<string | undefined>;
};

const derive = promisify<string, Buffer, number, Buffer>(scrypt);
const hashBytes = 32;

/** Accounts as a real site would keep them: a salt and a slow hash each, no password. */
export async function createDemoAccounts(): Promise<DemoAccounts> {
  const makeAccount = async (userName: string | undefined, password: string) => {
    const salt = randomBytes(16);
    return { userName, salt, hash: await derive(password, salt, hashBytes) };
  };
  const accounts = new Map(
    await Promise.all(
      demoUserNames.map(async (name) => [name, await makeAccount(name, demoPassword)] as const),
    ),
  );
  // Checked when the name is unknown, so that the time an answer takes does not tell which names exist.
  const nobody = await makeAccount(undefined, randomBytes(16).toString('hex'));

  return {
    async verifyPassword(userName, password) {
      const account = [...accounts].find(([name]) => name === userName)?.[1] ?? nobody;
      const hash = await derive(password, account.salt, hashBytes);
      return timingSafeEqual(hash, account.hash) ? account.userName : undefined;
    },
  };
}
