import { BrokerClient } from '@countersign/testkit/broker-client';
import type { Page, Request } from 'playwright-core';
import * as z from 'zod/mini';
import type { SignInWorld } from './sign-in-world.ts';

/** The password of every account of the sample site, as its sign-in page prints it. */
export const samplePassword = 'countersign-demo';

export type SignInOutcome = {
  readonly outcome: string;
  readonly reasonCode: string;
  readonly decisionId: string;
};

/**
 * Signs in as a person does: opens the page, fills the form in and reads what the site says.
 *
 * A browser that has just started takes the certificates of its policy up at some moment of its first seconds, later on a
 * busy machine, and breaks off what it is loading then. Of the page and its script that says nothing of the device, so such a
 * sign-in is made again. A challenge `attest()` asks for again itself, which is for these tests to see.
 */
export async function signIn(page: Page, origin: string, user = 'ada'): Promise<SignInOutcome> {
  const attempt = async () => {
    await page.goto(origin);
    return await signInOnOpenPage(page, user);
  };
  let isBrokenOff = false;
  const note = (failed: Request) => {
    isBrokenOff ||=
      failed.failure()?.errorText === 'net::ERR_CERT_VERIFIER_CHANGED' &&
      !failed.url().endsWith('/v1/challenges');
  };
  page.on('requestfailed', note);
  try {
    const shown = await attempt();
    if (!isBrokenOff) return shown;
  } catch (error) {
    if (!isBrokenOff) throw error;
  } finally {
    page.off('requestfailed', note);
  }
  return await attempt();
}

/** The same without loading the page, as a person does who has left it open. */
export async function signInOnOpenPage(page: Page, user = 'ada'): Promise<SignInOutcome> {
  await page.getByLabel('User name').fill(user);
  await page.getByLabel('Password').fill(samplePassword);
  await page.getByRole('button', { name: 'Sign in' }).click();
  const shown = async (name: string) => (await page.getByTestId(name).textContent()) ?? '';
  return {
    decisionId: await shown('decision-id'),
    outcome: await shown('outcome'),
    reasonCode: await shown('reason-code'),
  };
}

const recordOfDecision = z.looseObject({
  decision: z.boolean(),
  reason: z.string(),
  subject: z.string(),
  device_trusted: z.boolean(),
  device_id: z.string(),
  response: z.optional(z.looseObject({ origin: z.string(), development: z.boolean() })),
});

/** The row that the broker keeps of a decision; `decisionId` is `<shard>.<sequence>`. */
export async function recordedDecision(world: SignInWorld, decisionId: string) {
  const [shard, sequence] = decisionId.split('.').map(Number);
  const { brokerUrl, ownerToken } = world;
  const broker = new BrokerClient({ fetch, brokerUrl, ownerToken });
  const { rows } = await broker.decisions(shard ?? -1);
  const row = rows.find((each) => each.sequence === sequence);
  if (row === undefined) throw new Error(`decision ${decisionId} is not on record`);
  return z.parse(recordOfDecision, JSON.parse(row.record));
}
