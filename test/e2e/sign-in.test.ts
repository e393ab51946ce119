import { expect, inject, test } from 'vitest';
import { withManagedBrowser } from '../support/browser/managed-session.ts';
import { recordedDecision, signIn } from '../support/browser/sign-in-page.ts';

const world = inject('world');
const profile = inject('bakedProfile');

test('a managed browser signs in, and the broker records which device it was', async () => {
  const shown = await withManagedBrowser(world, { profile }, async (browser) =>
    signIn(await browser.newPage(), world.ssoOrigin),
  );
  expect(shown).toMatchObject({ outcome: 'trusted', reasonCode: 'trusted_device' });
  const record = await recordedDecision(world, shown.decisionId);
  expect(record).toMatchObject({
    decision: true,
    reason: 'trusted_device',
    subject: 'ada',
    device_trusted: true,
    response: { origin: world.ssoOrigin, development: false },
  });
  expect(record.device_id).not.toBe('');
});

test('developer tools need not be allowed', async () => {
  const shown = await withManagedBrowser(world, { profile, developerTools: 0 }, async (browser) =>
    signIn(await browser.newPage(), world.ssoOrigin),
  );
  expect(shown).toMatchObject({ outcome: 'trusted', reasonCode: 'trusted_device' });
});

test('two people in two tabs: the device goes on belonging to the first', async () => {
  await withManagedBrowser(world, { profile }, async (browser) => {
    const first = await signIn(await browser.newPage(), world.ssoOrigin, 'ada');
    await browser.context.clearCookies();
    const second = await signIn(await browser.newPage(), world.ssoOrigin, 'grace');
    expect(first.reasonCode).toBe('trusted_device');
    expect(second.reasonCode).toBe('certificate_bound_to_other_user');
    expect(await recordedDecision(world, second.decisionId)).toMatchObject({
      decision: false,
      subject: 'grace',
    });
  });
});
