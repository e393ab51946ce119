import { randomBytes } from 'node:crypto';
import {
  type FakeBroker,
  type FakeBrokerSettings,
  startFakeBroker,
} from '@countersign/testkit/fake-broker';
import { afterEach, beforeEach } from 'vitest';
import { type CountersignClientOptions, createCountersignClient } from '../countersign-client.ts';
import { createTransaction } from '../transaction.ts';

export const clientId = 'sso';
export const application = 'mail';
export const origin = 'https://sso.example.com';
export const clientSecret = randomBytes(32).toString('base64url');

export const startBroker = () =>
  startFakeBroker({ clientId, clientSecret, origins: [origin], application });

/** A broker of its own for each test of the file, and the sign-in server that is its client. */
export function useFakeBroker() {
  let running: FakeBroker | undefined;
  beforeEach(async () => {
    running = await startBroker();
  });
  afterEach(() => running?.stop());
  const current = () => {
    if (running === undefined) throw new Error('there is a broker inside of tests only');
    return running;
  };
  return {
    current,
    replaceBroker: async (how: Pick<FakeBrokerSettings, 'clientKeys'>) => {
      await running?.stop();
      running = await startFakeBroker({ clientId, origins: [origin], application, ...how });
    },
    client: (options: Partial<CountersignClientOptions> = {}) =>
      createCountersignClient({
        brokerUrl: current().url,
        clientId,
        authentication: { clientSecret },
        ...options,
      }),
    /** What the sign-in server has when the form of a managed browser arrives. */
    signIn: async (at = current()) => {
      const transaction = createTransaction();
      const evidence = await at.attestAsManagedDevice({ origin, transaction });
      return { subject: 'ada', application, transaction, evidence, subjectAuthenticated: true };
    },
    evaluations: () => current().requests.filter(({ path }) => path === '/access/v1/evaluation'),
  };
}
