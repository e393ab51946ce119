import { randomBytes } from 'node:crypto';
import { packEvidence } from '@countersign/protocol';
import { type FakeBroker, startFakeBroker } from '@countersign/testkit/fake-broker';
import { type CountersignClientOptions, createCountersignClient } from './countersign-client.ts';
import { createTransaction } from './transaction.ts';

export const clientId = 'sso';
export const application = 'mail';
export const origin = 'https://sso.example.com';
export const clientSecret = randomBytes(32).toString('base64url');

export const startBroker = () =>
  startFakeBroker({ clientId, clientSecret, origins: [origin], application });

export const clientOf = (broker: FakeBroker, options: Partial<CountersignClientOptions> = {}) =>
  createCountersignClient({
    brokerUrl: broker.url,
    clientId,
    authentication: { clientSecret },
    ...options,
  });

/** What the page of a managed browser does. */
export async function managedEvidence(broker: FakeBroker, transaction: string): Promise<string> {
  const answer = await fetch(`${broker.url}/v1/challenges`, {
    method: 'POST',
    headers: { Origin: origin, 'Content-Type': 'text/plain' },
    body: JSON.stringify({ client_id: clientId, transaction }),
  });
  const challenge = String(Object(await answer.json()).challenge);
  const unverifiedResponse = await broker.respondAsManagedDevice(challenge);
  return packEvidence({ unverifiedChallenge: challenge, unverifiedResponse });
}

/** What the sign-in server has when the form of a managed browser arrives. */
export async function managedSignIn(
  broker: FakeBroker,
  changes: { subject?: string; transaction?: string } = {},
) {
  const transaction = createTransaction();
  const evidence = await managedEvidence(broker, transaction);
  const input = { subject: 'ada', application, transaction, evidence, subjectAuthenticated: true };
  return { ...input, ...changes };
}
