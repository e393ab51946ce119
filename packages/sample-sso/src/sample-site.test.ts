import { randomBytes } from 'node:crypto';
import { Script } from 'node:vm';
import { type FakeBroker, startFakeBroker } from '@countersign/testkit/fake-broker';
import { type FakeBrowser, openFakeBrowser } from '@countersign/testkit/fake-browser';
import { findFreePort } from '@countersign/testkit/listen-on-free-port';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { demoPassword } from './demo-accounts.ts';
import { type RunningSampleSite, startSampleSite } from './index.ts';

const clientId = 'sso';
const clientSecret = randomBytes(32).toString('base64url');
const origins: string[] = [];
const lines: string[] = [];
let broker: FakeBroker;
let site: RunningSampleSite;

beforeAll(async () => {
  broker = await startFakeBroker({ clientId, clientSecret, origins, application: 'mail' });
  const brokerUrl = broker.url;
  const log = (line: string) => void lines.push(line);
  const port = await findFreePort();
  const options = { port, brokerUrl, clientId, clientSecret, application: 'mail', log };
  site = await startSampleSite(options);
  origins.push(site.url);
});
afterAll(async () => {
  await site.stop();
  await broker.stop();
});

const evaluations = () => broker.requests.filter(({ path }) => path === '/access/v1/evaluation');
const ada = { username: 'ada', password: demoPassword };

/** Opens the form in a managed browser and returns the fields that its script would send. */
async function fillForm(browser: FakeBrowser) {
  const { transaction } = await browser.get('/');
  const evidence = await broker.attestAsManagedDevice({ origin: site.url, transaction });
  return { ...ada, evidence };
}

describe('a sign-in', () => {
  test('from a trusted device opens a session, until the person signs out', async () => {
    const browser = openFakeBrowser(site);
    const result = await browser.post('/sign-in', await fillForm(browser));
    expect(result).toMatchObject({
      status: 200,
      outcome: 'trusted',
      reasonCode: 'trusted_device',
      reasonText: 'This device is managed by your company.',
      rule: 'allow',
      decisionId: expect.stringMatching(/^0\.\d+$/),
    });
    expect([...browser.cookies.keys()]).toEqual(['sample-session']);
    expect(await browser.get('/')).toMatchObject({ outcome: 'trusted' });
    expect(await browser.post('/sign-out', {})).toMatchObject({ status: 303 });
    expect([...browser.cookies.keys()]).toEqual([]);
    expect((await browser.get('/')).text).toContain('Demo accounts');
    expect(JSON.parse(evaluations().at(-1)?.body ?? '')).toMatchObject({
      subject: { type: 'user', id: 'ada' },
      resource: { id: 'mail' },
      context: { subject_authenticated: true },
    });
  });

  test('a session that was signed out stays closed', async () => {
    const browser = openFakeBrowser(site);
    await browser.post('/sign-in', await fillForm(browser));
    const [session] = [...browser.cookies];
    await browser.post('/sign-out', {});
    if (session) browser.cookies.set(...session);
    expect((await browser.get('/')).text).toContain('Demo accounts');
  });

  test('from an unmanaged browser says why, and signs nobody in', async () => {
    const browser = openFakeBrowser(site);
    const { evidence, ...fields } = await fillForm(browser);
    const [version, challenge] = evidence.split('~');
    const reported = `${version}~${challenge}~~~extension_not_installed`;
    const result = await browser.post('/sign-in', { ...fields, evidence: reported });
    expect(result).toMatchObject({
      status: 403,
      outcome: 'not-trusted',
      reasonCode: 'extension_not_installed',
      rule: 'default_deny',
    });
    expect(result.reasonText).toContain('Use your work browser');
    expect([...browser.cookies.keys()]).toEqual([]);
    expect((await browser.get('/')).text).toContain('Demo accounts');
  });

  test('without evidence shows what the page reported', async () => {
    const browser = openFakeBrowser(site);
    await browser.get('/');
    const fields = { ...ada, evidence: '', attest_error: 'origin_not_registered' };
    expect(await browser.post('/sign-in', fields)).toMatchObject({
      status: 403,
      outcome: 'not-trusted',
      reasonCode: 'evidence_missing',
      attestError: 'origin_not_registered',
    });
  });

  test('with a wrong password asks the broker nothing and gives a new transaction', async () => {
    const browser = openFakeBrowser(site);
    const first = await fillForm(browser);
    const asked = evaluations().length;
    for (const wrong of [{ password: 'wrong' }, { username: 'nobody' }]) {
      const { transaction } = await browser.get('/');
      const result = await browser.post('/sign-in', { ...first, ...wrong });
      expect(result).toMatchObject({
        status: 401,
        outcome: 'error',
        reasonCode: 'password_wrong',
      });
      expect(result.transaction).toMatch(/^[\w-]{43}$/);
      expect(result.transaction).not.toBe(transaction);
    }
    expect(evaluations()).toHaveLength(asked);
  });

  test('while the broker is down is an error with its code, and signs nobody in', async () => {
    const browser = openFakeBrowser(site);
    const fields = await fillForm(browser);
    for (let attempt = 0; attempt < 2; attempt++) {
      broker.interruptNext('/access/v1/evaluation', (_, response) => void response.destroy());
    }
    expect(await browser.post('/sign-in', fields)).toMatchObject({
      status: 502,
      outcome: 'error',
      reasonCode: 'broker_unreachable',
    });
    expect([...browser.cookies.keys()]).toEqual([]);
  });
});

describe('the transaction', () => {
  test('is new with every form', async () => {
    const browser = openFakeBrowser(site);
    const first = await browser.get('/');
    const second = await browser.get('/');
    expect(first.transaction).not.toBe(second.transaction);
    expect([...browser.cookies.values()]).toEqual([second.transaction]);
  });

  test('comes from the cookie alone', async () => {
    const browser = openFakeBrowser(site);
    const fields = await fillForm(browser);
    const transaction = browser.cookies.get('countersign-transaction') ?? '';
    browser.cookies.clear();
    const asked = evaluations().length;
    const path = `/sign-in?transaction=${transaction}`;
    for (const more of [{}, { transaction }, { 'countersign-transaction': transaction }]) {
      expect(await browser.post(path, { ...fields, ...more })).toMatchObject({
        status: 400,
        outcome: 'error',
        reasonCode: 'transaction_missing',
      });
    }
    expect(evaluations()).toHaveLength(asked);
  });

  test('must be one that this site made', async () => {
    const browser = openFakeBrowser(site);
    for (const made of [randomBytes(32).toString('base64url'), 'x', '']) {
      browser.cookies.set('countersign-transaction', made);
      expect(await browser.post('/sign-in', ada)).toMatchObject({
        status: 400,
        reasonCode: 'transaction_missing',
      });
    }
  });

  test('is spent by the first form, whatever comes of it', async () => {
    for (const password of [demoPassword, 'wrong']) {
      const browser = openFakeBrowser(site);
      const fields = await fillForm(browser);
      const cookie = [...browser.cookies];
      await browser.post('/sign-in', { ...fields, password });
      browser.cookies.clear();
      for (const [name, value] of cookie) browser.cookies.set(name, value);
      expect(await browser.post('/sign-in', fields)).toMatchObject({
        status: 400,
        reasonCode: 'transaction_missing',
      });
    }
  });

  test('one form sent many times at once is decided once', async () => {
    const browser = openFakeBrowser(site);
    const fields = await fillForm(browser);
    const asked = evaluations().length;
    const results = await Promise.all(
      Array.from({ length: 10 }, () => browser.post('/sign-in', fields)),
    );
    expect(results.filter(({ outcome }) => outcome === 'trusted')).toHaveLength(1);
    expect(evaluations()).toHaveLength(asked + 1);
  });

  test('evidence that another browser made for its own sign-in is refused', async () => {
    const victim = openFakeBrowser(site);
    const attacker = openFakeBrowser(site);
    const { evidence } = await fillForm(victim);
    await attacker.get('/');
    expect(await attacker.post('/sign-in', { ...ada, evidence })).toMatchObject({
      status: 403,
      outcome: 'not-trusted',
      reasonCode: 'challenge_wrong_transaction',
    });
  });

  test('a reload after the sign-in leads back to the session', async () => {
    const browser = openFakeBrowser(site);
    const fields = await fillForm(browser);
    await browser.post('/sign-in', fields);
    expect(await browser.post('/sign-in', fields)).toMatchObject({ status: 303 });
  });
});

describe('forms that are not ours', () => {
  test.each(['https://evil.example.com', 'null', 'http://127.0.0.1:1', ''])(
    'from origin %j are refused and spend nothing',
    async (Origin) => {
      const browser = openFakeBrowser(site);
      const fields = await fillForm(browser);
      const refused = { status: 403, outcome: 'error', reasonCode: 'origin_wrong' };
      expect(await browser.post('/sign-in', fields, { Origin })).toMatchObject(refused);
      expect(await browser.post('/sign-in', fields)).toMatchObject({ outcome: 'trusted' });
      expect(await browser.post('/sign-out', {}, { Origin })).toMatchObject(refused);
      expect(await browser.get('/')).toMatchObject({ outcome: 'trusted' });
    },
  );

  test.each<[string, Record<string, string>]>([
    ['no password', { username: 'ada' }],
    ['no user name', { password: demoPassword }],
    ['a long user name', { ...ada, username: 'a'.repeat(65) }],
    ['markup for an error code', { ...ada, attest_error: '<b>' }],
    ['too much evidence', { ...ada, evidence: 'x'.repeat(33_000) }],
  ])('with %s are refused', async (_, fields) => {
    const browser = openFakeBrowser(site);
    await browser.get('/');
    expect(await browser.post('/sign-in', fields)).toMatchObject({
      status: 400,
      outcome: 'error',
      reasonCode: 'form_malformed',
    });
  });

  test('of 100 KB are refused', async () => {
    const browser = openFakeBrowser(site);
    await browser.get('/');
    const evidence = 'x'.repeat(100_000);
    expect(await browser.post('/sign-in', { ...ada, evidence })).toMatchObject({
      status: 413,
      reasonCode: 'form_too_large',
    });
  });
});

describe('pages', () => {
  test('carry their security headers everywhere', async () => {
    const browser = openFakeBrowser(site);
    const pages = [
      await browser.get('/'),
      await browser.get('/sign-in.js'),
      await browser.get('/styles.css'),
      await browser.get('/nothing-here'),
      await browser.post('/sign-in', {}, { Origin: 'null' }),
      await browser.post('/sign-in', { ...ada, password: 'wrong' }),
    ];
    for (const { headers } of pages) {
      const policy = headers.get('content-security-policy')?.split('; ');
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self'");
      expect(policy).toContain(`connect-src 'self' ${broker.url}`);
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy?.join()).not.toContain('unsafe');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('same-origin');
    }
  });

  test('hold no script and no style of their own, and escape what was typed', async () => {
    const browser = openFakeBrowser(site);
    await browser.get('/');
    const username = `"><script>alert(1)</script><b onclick='x'>`;
    const { text } = await browser.post('/sign-in', { username, password: 'wrong' });
    expect(text).toContain('&quot;&gt;&lt;script&gt;alert(1)');
    expect(text.match(/<script/g)).toHaveLength(1);
    expect(text).toContain('<script src="/sign-in.js" defer></script>');
    expect(text.replaceAll(/"[^"]*"/g, '')).not.toMatch(/\s(on\w+|style)=/);
  });

  test('the script is one file that a browser can run', async () => {
    const { text, headers } = await openFakeBrowser(site).get('/sign-in.js');
    expect(headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(() => new Script(text)).not.toThrow();
    expect(text).toContain('countersign.attest');
    expect(text).not.toMatch(/\bimport\b/);
  });

  test('an address typed again leads to the form', async () => {
    const result = await openFakeBrowser(site).get('/sign-in');
    expect(result).toMatchObject({ status: 303 });
    expect(result.headers.get('location')).toBe('/');
  });
});

test('the log names outcomes and no people, passwords or transactions', () => {
  const log = lines.join('\n');
  expect(log).toContain('allowed trusted_device');
  expect(log).toContain('refused password_wrong');
  for (const secret of ['ada', demoPassword, clientSecret, 'v1~'])
    expect(log).not.toContain(secret);
});
