import type { Decision, FailOpenDecision } from '@countersign/sso-sdk/server';
import { describe, expect, test } from 'vitest';
import { createDemoAccounts, demoPassword } from './demo-accounts.ts';
import { createSampleApp, type SampleAppParts } from './sample-app.ts';

const monitored: Decision = {
  decision: true,
  decisionToken: 'a.b.c',
  deviceTrusted: false,
  reasonCode: 'monitor_only',
  reasonUser: 'You are signed in. Your company will soon ask for more here.',
  reasonAdmin: 'The policy would have denied this sign-in.',
  decisionId: '0.1',
  policy: { version: 1, rule: 'monitor' },
  requestId: 'r',
};

const countersignThat = (evaluate: () => Promise<Decision | FailOpenDecision>) => ({
  evaluate,
  complete: () => Promise.reject(new Error('nothing is pending here')),
});

async function createApp(parts: Partial<SampleAppParts> = {}) {
  const accounts = await createDemoAccounts();
  return createSampleApp({
    siteTitle: 'Sample',
    secure: true,
    brokerUrl: 'https://broker.example.com',
    clientId: 'sso',
    application: 'mail',
    countersign: countersignThat(async () => monitored),
    accounts,
    assets: {},
    log: () => undefined,
    now: Date.now,
    ...parts,
  });
}

const signIn = (app: Awaited<ReturnType<typeof createApp>>, cookie: string) =>
  app.request('https://sso.example.com/sign-in', {
    method: 'POST',
    headers: { Origin: 'https://sso.example.com', Host: 'sso.example.com', Cookie: cookie },
    body: new URLSearchParams({ username: 'ada', password: demoPassword }),
  });

test('the page may ask the broker, and its mTLS address where there is one', async () => {
  const sources = async (parts: Partial<SampleAppParts>) => {
    const form = await (await createApp(parts)).request('https://sso.example.com/');
    return /connect-src ([^;]+);/.exec(form.headers.get('Content-Security-Policy') ?? '')?.[1];
  };
  expect(await sources({})).toBe("'self' https://broker.example.com");
  const mtlsUrl = 'https://mtls.example.com';
  expect(await sources({ mtlsUrl })).toBe(`'self' https://broker.example.com ${mtlsUrl}`);
});

test('over https every cookie is bound to the host', async () => {
  const app = await createApp();
  const form = await app.request('https://sso.example.com/');
  const [transaction = ''] = form.headers.getSetCookie();
  expect(transaction).toMatch(
    /^__Host-countersign-transaction=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
  );
  const result = await signIn(app, transaction.split(';')[0] ?? '');
  const [cleared, session] = result.headers.getSetCookie();
  expect(cleared).toMatch(/^__Host-countersign-transaction=; Path=\/; Max-Age=0/);
  expect(session).toMatch(
    /^__Host-sample-session=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
  );
});

test('an untrusted device that is allowed is shown as what it is', async () => {
  const app = await createApp();
  const form = await app.request('https://sso.example.com/');
  const result = await signIn(app, form.headers.getSetCookie()[0]?.split(';')[0] ?? '');
  expect(result.status).toBe(200);
  const text = await result.text();
  expect(text).toContain('data-testid="outcome">not-trusted<');
  expect(text).toContain('You are signed in as <strong data-testid="user">ada</strong>');
});

test('a refusal has the link of the organization, and none where there is none', async () => {
  const { reasonUser, reasonAdmin, decisionId, policy, requestId, deviceTrusted } = monitored;
  const facts = { reasonUser, reasonAdmin, decisionId, policy, requestId, deviceTrusted };
  const denied: Decision = { ...facts, decision: false, reasonCode: 'policy_denied' };
  const pageOf = async (learnMoreUrl?: string) => {
    const decision = learnMoreUrl === undefined ? denied : { ...denied, learnMoreUrl };
    const app = await createApp({ countersign: countersignThat(async () => decision) });
    const form = await app.request('https://sso.example.com/');
    const result = await signIn(app, form.headers.getSetCookie()[0]?.split(';')[0] ?? '');
    return await result.text();
  };
  expect(await pageOf('https://it.example.com/?a=1&b=2')).toContain(
    '<a href="https://it.example.com/?a=1&amp;b=2" rel="noopener noreferrer"',
  );
  expect(await pageOf()).not.toContain('learn-more');
});

test('somebody who was let in although nobody decided is shown that', async () => {
  const lines: string[] = [];
  const letIn: FailOpenDecision = {
    decision: true,
    failOpen: {
      cause: 'broker_unreachable',
      reportId: 'the-report',
      statementId: 'the-statement',
      expiresAt: new Date(1_800_000_000_000),
    },
    deviceTrusted: false,
    reasonCode: 'fail_open',
    reasonUser: 'You are signed in. This device could not be checked this time.',
    reasonAdmin: 'The broker could not be reached.',
    requestId: 'r',
  };
  const app = await createApp({
    countersign: countersignThat(async () => letIn),
    log: (line) => void lines.push(line),
  });
  const form = await app.request('https://sso.example.com/');
  const result = await signIn(app, form.headers.getSetCookie()[0]?.split(';')[0] ?? '');
  expect(result.status).toBe(200);
  const text = await result.text();
  expect(text).toContain('This device could not be checked');
  expect(text).toContain('data-testid="report-id">the-report<');
  expect(text).not.toContain('Add a passkey');
  expect(lines).toContain('allowed fail_open undecided');
});

test('a transaction that is older than ten minutes is refused', async () => {
  let nowMs = 1_800_000_000_000;
  const app = await createApp({ now: () => nowMs });
  const openForm = async () => {
    const form = await app.request('https://sso.example.com/');
    return form.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  };
  const early = await openForm();
  nowMs += 599_999;
  expect((await signIn(app, early)).status).toBe(200);
  const late = await openForm();
  nowMs += 600_000;
  expect((await signIn(app, late)).status).toBe(400);
});

test('a failure inside the site is logged and told without its cause', async () => {
  const lines: string[] = [];
  const app = await createApp({
    countersign: countersignThat(() => Promise.reject(new Error('the inner cause'))),
    log: (line) => void lines.push(line),
  });
  const form = await app.request('https://sso.example.com/');
  const result = await signIn(app, form.headers.getSetCookie()[0]?.split(';')[0] ?? '');
  expect(result.status).toBe(500);
  expect(await result.text()).not.toContain('inner cause');
  expect(result.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(lines.join()).toContain('the inner cause');
});

describe('a sign-in that waits for a factor', () => {
  const pending: Decision = {
    ...monitored,
    decision: false,
    reasonCode: 'step_up_required',
    stepUp: {
      acrValues: ['phr'],
      amrValues: [],
      subjectAuthenticated: false,
      expiresAt: new Date(1_800_000_000_000),
    },
  };
  const createPendingApp = () => createApp({ countersign: countersignThat(async () => pending) });
  const postStepUp = (app: Awaited<ReturnType<typeof createApp>>, headers: object = {}) =>
    app.request('https://sso.example.com/step-up', {
      method: 'POST',
      headers: { Origin: 'https://sso.example.com', Host: 'sso.example.com', ...headers },
      body: new URLSearchParams({ credential: '{}' }),
    });

  test('opens no session, and says where to add a passkey when there is none', async () => {
    const app = await createPendingApp();
    const form = await app.request('https://sso.example.com/');
    const result = await signIn(app, form.headers.getSetCookie()[0]?.split(';')[0] ?? '');
    expect(result.status).toBe(200);
    const text = await result.text();
    expect(text).toContain('data-testid="outcome">step-up<');
    expect(text).toContain('Sign in from your managed device and add one there.');
    expect(result.headers.getSetCookie()).toHaveLength(1);
  });

  test('is completed by nobody who did not begin it', async () => {
    const app = await createPendingApp();
    for (const cookie of ['', '__Host-sample-step-up=made-up']) {
      const result = await postStepUp(app, { Cookie: cookie });
      expect(result.status).toBe(400);
      expect(await result.text()).toContain('step_up_missing');
    }
    const foreign = await postStepUp(app, { Origin: 'https://evil.example.com' });
    expect(foreign.status).toBe(403);
  });

  test.each([
    ['trusted_device', true],
    ['monitor_only', false],
  ])('may a trusted device add a passkey that is signed in as %s: %s', async (reasonCode, may) => {
    const decision: Decision = { ...monitored, deviceTrusted: true, reasonCode };
    const app = await createApp({ countersign: countersignThat(async () => decision) });
    const form = await app.request('https://sso.example.com/');
    const result = await signIn(app, form.headers.getSetCookie()[0]?.split(';')[0] ?? '');
    expect((await result.text()).includes('Add a passkey')).toBe(may);
    const session = result.headers.getSetCookie().map((cookie) => cookie.split(';')[0]);
    const page = await app.request('https://sso.example.com/passkey', {
      headers: { Host: 'sso.example.com', Cookie: session.join('; ') },
    });
    expect(page.status).toBe(may ? 200 : 303);
  });

  test('adds passkeys for nobody who is not signed in from a trusted device', async () => {
    const app = await createPendingApp();
    for (const method of ['GET', 'POST']) {
      const result = await app.request('https://sso.example.com/passkey', {
        method,
        headers: { Origin: 'https://sso.example.com', Host: 'sso.example.com' },
      });
      expect(result.status).toBe(303);
    }
  });
});
