import { BrokerClient } from '@countersign/testkit/broker-client';
import type { CDPSession, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { ManagedBrowser } from '../support/browser/managed-chromium.ts';
import { useLauncher, withManagedBrowser } from '../support/browser/managed-session.ts';
import { recordedDecision, samplePassword, signIn } from '../support/browser/sign-in-page.ts';

// A person without a managed device signs in with a passkey that they added while they had one.

const world = inject('world');
const profile = inject('bakedProfile');
const { application } = world.client;
const { brokerUrl, ownerToken } = world;
const broker = new BrokerClient({ fetch, brokerUrl, ownerToken });

beforeAll(async () => {
  await broker.putApplication(application, {
    name: application,
    enforcement: 'enforce',
    other_devices: 'step_up',
  });
});
afterAll(async () => {
  await broker.putApplication(application, { name: application, enforcement: 'enforce' });
});

/** A security key with a fingerprint reader, which says yes as long as `isUserVerified`. */
async function plugInAuthenticator(browser: ManagedBrowser, page: Page) {
  const session: CDPSession = await browser.context.newCDPSession(page);
  await session.send('WebAuthn.enable');
  const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'usb',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    verifyUser: (isUserVerified: boolean) =>
      session.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }),
  };
}

const shown = async (page: Page, name: string) =>
  (await page.getByTestId(name).textContent()) ?? '';

async function submitSignIn(page: Page): Promise<void> {
  await page.goto(world.ssoOrigin);
  await page.getByLabel('User name').fill('ada');
  await page.getByLabel('Password').fill(samplePassword);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByTestId('outcome').waitFor();
}

test('a passkey completes what the missing device leaves pending', async () => {
  await withManagedBrowser(world, { profile }, async (browser) => {
    const page = await browser.newPage();
    const authenticator = await plugInAuthenticator(browser, page);

    expect(await signIn(page, world.ssoOrigin)).toMatchObject({ outcome: 'trusted' });
    await page.getByTestId('add-passkey').click();
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();

    useLauncher(world, 'missing');
    await submitSignIn(page);
    expect(await shown(page, 'outcome')).toBe('step-up');
    expect(await shown(page, 'reason-code')).toBe('step_up_required');
    const pendingId = await shown(page, 'decision-id');
    expect(await recordedDecision(world, pendingId)).toMatchObject({
      decision: false,
      reason: 'step_up_required',
    });

    // Whoever finds the key and has not the finger gets nowhere, and the sign-in goes on waiting.
    await authenticator.verifyUser(false);
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await page.getByText('No passkey was used.').waitFor({ timeout: 90_000 });

    await authenticator.verifyUser(true);
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    expect(await shown(page, 'outcome')).toBe('not-trusted');
    expect(await shown(page, 'reason-code')).toBe('step_up_completed');
    expect(await recordedDecision(world, await shown(page, 'decision-id'))).toMatchObject({
      decision: true,
      subject: 'ada',
      device_trusted: false,
      untrusted_reason: 'host_not_installed',
      stage: 1,
      asserted: { acr: 'phr', amr: ['pop', 'user'] },
    });
    // Only a trusted device vouches for a new passkey.
    expect(await page.getByTestId('add-passkey').count()).toBe(0);
    await page.goto(`${world.ssoOrigin}/passkey`);
    expect(await page.getByTestId('outcome').textContent()).toBe('not-trusted');
  });
}, 180_000);

test('who has no passkey is told where to add one', async () => {
  await withManagedBrowser(world, { profile, launcher: 'missing' }, async (browser) => {
    const page = await browser.newPage();
    await page.goto(world.ssoOrigin);
    await page.getByLabel('User name').fill('grace');
    await page.getByLabel('Password').fill(samplePassword);
    await page.getByRole('button', { name: 'Sign in' }).click();
    expect(await shown(page, 'no-passkey')).toContain('Sign in from your managed device');
    expect(await page.getByRole('button').count()).toBe(0);
  });
});
