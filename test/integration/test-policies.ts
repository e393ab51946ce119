import { policyAnswer, policyChangeAnswer } from '@countersign/policy';
import { evaluationAnswer } from '@countersign/protocol/evaluation';
import { problemDocument } from '@countersign/protocol/problem';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { expect } from 'vitest';
import { broker } from './test-broker.ts';
import { signInBody } from './test-users.ts';

/** Policies of rules, what they name, and the sign-ins that they decide. */

export const trusted = {
  id: 'trusted',
  when: { device_trust: 'trusted' },
  effect: 'allow',
} as const;

export const policyOf = (rules: readonly object[], more: object = {}) => ({
  policy: { enforcement: 'enforce', rules, otherwise: 'deny' },
  ...more,
});

export const policyPath = (client: TestClient) =>
  `/v1/admin/applications/${client.application}/policy`;

/** The policy of the client's application. */
export async function policyInForce(client: TestClient) {
  const response = await broker.admin('GET', policyPath(client));
  return policyAnswer.parse(await response.json());
}

/** Gives the client's application these rules. @returns the organization's version */
export async function putRules(
  client: TestClient,
  rules: readonly object[],
  more: object = {},
): Promise<number> {
  const response = await broker.admin('PUT', policyPath(client), policyOf(rules, more));
  expect(response.status, await response.clone().text()).toBe(200);
  return policyChangeAnswer.parse(await response.json()).organization_version;
}

export async function refusalOf(response: Response) {
  const { status, code, field } = problemDocument.parse(await response.json());
  return [status, code, field].filter(Boolean);
}

export async function enrolled() {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

/** The rule that decides, and what comes of it. */
export async function decisionOf(
  client: TestClient,
  device: FakeDevice,
  user: string,
  told: object = {},
) {
  const body = await signInBody(client, device, user);
  const response = await broker.sendEvaluation(client, {
    ...body,
    context: { ...body.context, ...told },
  });
  const { decision, context } = evaluationAnswer.parse(await response.json());
  return { decision, rule: context.policy.rule, reason: context.reason_code, context };
}

export const putZone = (id: string, blocks: readonly string[], on_network = false) =>
  broker.admin('PUT', `/v1/admin/zones/${id}`, { name: id, on_network, blocks });
export const putGroup = (id: string, members: readonly string[]) =>
  broker.admin('PUT', `/v1/admin/groups/${id}`, { name: id, members });
export const fresh = (kind: string) => `${kind}-${crypto.randomUUID().slice(0, 8)}`;
