import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cloudflareSecrets } from './cloudflare-secrets.ts';
import { ensureDataDirectory } from './data-directory/open-data-directory.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';
import { compatibilityDate } from './workerd/workerd-configuration.ts';

const wranglerToml = readFileSync(new URL('../../../wrangler.toml', import.meta.url), 'utf8');
const brokerUrl = 'https://broker.example.com';
const nowMs = Date.UTC(2026, 10, 21);

it('prints exactly the secrets that wrangler.toml requires, and those of SCEP, with the keys of the data folder', async () => {
  const dataDirectory = join(temporaryDirectory(), 'data');
  const secrets = await cloudflareSecrets({ dataDirectory, brokerUrl }, nowMs);
  const scep = ['SCEP_RA_CERTIFICATE', 'SCEP_RA_KEY'];
  const required = /^required = \[(.*?)^\]/ms.exec(wranglerToml)?.[1]?.match(/"[A-Z0-9_]+"/g);
  expect(Object.keys(secrets).toSorted()).toEqual(
    [...(required?.map((name) => name.slice(1, -1)) ?? []), ...scep].toSorted(),
  );

  const data = await ensureDataDirectory(dataDirectory, { brokerUrl, nowMs });
  const tokenHash = createHash('sha256').update(data.ownerToken).digest('base64url');
  expect(secrets.OWNER_TOKEN_SHA256).toBe(tokenHash);
  expect(Buffer.from(secrets.DEVICE_ID_KEY ?? '', 'base64url')).toHaveLength(32);
  const key = createPrivateKey({
    key: Buffer.from(secrets.DECISION_KEY ?? '', 'base64'),
    format: 'der',
    type: 'pkcs8',
  });
  const [decision] = JSON.parse(secrets.PUBLIC_KEYS ?? '').decision;
  expect(createPublicKey(key).export({ format: 'jwk' })).toEqual(decision);
  const claims = JSON.parse(
    Buffer.from(secrets.KEY_SET?.split('.')[1] ?? '', 'base64url').toString(),
  );
  expect(claims).toMatchObject({ iss: brokerUrl, version: 1 });

  expect(await cloudflareSecrets({ dataDirectory, brokerUrl }, nowMs)).toEqual(secrets);
});

it('needs the URL under which the broker will be reached', async () => {
  const dataDirectory = join(temporaryDirectory(), 'data');
  await expect(cloudflareSecrets({ dataDirectory }, nowMs)).rejects.toMatchObject({
    failure: 'setting_invalid',
    message: expect.stringContaining('--broker-url'),
  });
});

it('runs the worker under the same compatibility date in both places', () => {
  expect(/^compatibility_date = "(.*)"$/m.exec(wranglerToml)?.[1]).toBe(compatibilityDate);
});
