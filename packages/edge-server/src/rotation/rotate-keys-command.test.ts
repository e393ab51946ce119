import { createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { keySetClaims } from '@countersign/protocol/key-set';
import { describe, expect, it } from 'vitest';
import { cloudflareSecrets } from '../cloudflare-secrets.ts';
import { jwkThumbprint } from '../data-directory/key-set.ts';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { startTestServer, testOptions } from '../testing/start-test-server.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { rotateCloudflareKeys, rotateKeys } from './rotate-keys-command.ts';
import { readTokenKeys } from './token-key-files.ts';
import { keyIdsOf, tokenKeyPurposes } from './token-keys.ts';

const nowMs = Date.UTC(2026, 10, 21);
const minuteMs = 60_000;
const everything = { purposes: tokenKeyPurposes, atOnce: true };

describe('rotate-keys', () => {
  it('is done by the server that runs on the folder, which serves the new keys without a stop', async () => {
    const lines: string[] = [];
    const options = await testOptions(temporaryDirectory());
    const server = await startTestServer({
      ...options,
      log: (line) => lines.push(line),
      keyRotation: { publishAtOnceMs: 0, settleMs: 1_500, retireMs: 1_500 },
    });
    const publicKeys = async () => {
      const answer: unknown = await (await fetch(`${server.httpUrl}/bindings`)).json();
      const texts = Object(answer).texts;
      return Object(JSON.parse(texts.PUBLIC_KEYS));
    };
    const before = await publicKeys();
    const report = await rotateKeys(options, { purposes: ['decision'], atOnce: true }, Date.now());
    expect(report).toMatch(/^The server has taken the request\.\n/);
    const until = async (wanted: (keys: Record<string, unknown[]>) => boolean) => {
      for (let waited = 0; ; waited += 50) {
        const keys = await publicKeys();
        if (wanted(keys)) return keys;
        if (waited > 10_000) throw new Error('it did not come to pass within 10 seconds');
        await new Promise((done) => setTimeout(done, 50));
      }
    };
    const published = await until(({ decision }) => decision?.length === 2);
    expect(published.decision?.[0]).toEqual(before.decision[0]);
    const [old] = before.decision;
    const used = await until(({ decision }) => Object(decision?.[0]).x !== old.x);
    expect(used.decision).toEqual(published.decision?.toReversed());
    const retired = await until(({ decision }) => decision?.length === 1);
    expect(retired.decision).toEqual([used.decision?.[0]]);
    expect({ ...retired, decision: undefined }).toEqual({ ...before, decision: undefined });
    const events = lines.map((line) => String(JSON.parse(line).event));
    expect(events.filter((event) => /^(key_.*|reloaded)$/.test(event))).toEqual([
      'key_published',
      'reloaded',
      'key_in_use',
      'reloaded',
      'key_retired',
      'reloaded',
    ]);
    await server.stop();
    const again = await startTestServer(options);
    expect(again.workerdPid()).toBeDefined();
    expect(await publicKeys()).toEqual(retired);
  }, 30_000);

  it('is begun in the folder when no server runs, for the next one to go on', async () => {
    const dataDirectory = join(temporaryDirectory(), 'data');
    const settings = { brokerUrl: 'http://127.0.0.1:8780', nowMs };
    const { paths, tokenKeys } = await ensureDataDirectory(dataDirectory, settings);
    const request = { purposes: tokenKeyPurposes, atOnce: false };
    const report = await rotateKeys({ dataDirectory }, request, nowMs);
    const begun = readTokenKeys(paths);
    expect(begun.challenge.inUse).toEqual(tokenKeys.challenge.inUse);
    expect(begun.challenge.next?.useAtMs).toBe(nowMs + 3 * 86_400_000);
    expect(report).toContain('No server runs on this folder');
    expect(report).toContain(
      `challenge: ${tokenKeys.challenge.inUse.kid} in use since 2026-11-21T00:00:00.000Z; ${begun.challenge.next?.kid} published, for use from 2026-11-24T00:00:00.000Z`,
    );
    expect(existsSync(paths.rotationRequest)).toBe(false);
  });

  it('makes no data folder', async () => {
    const dataDirectory = join(temporaryDirectory(), 'data');
    await expect(rotateKeys({ dataDirectory }, everything, nowMs)).rejects.toMatchObject({
      failure: 'data_directory_unusable',
      message: expect.stringContaining('There is no data folder'),
    });
    expect(existsSync(dataDirectory)).toBe(false);
  });
});

describe('rotate-keys for Cloudflare', () => {
  const brokerUrl = 'https://broker.example.com';
  const kidOf = (pkcs8: string | null | undefined) => {
    const key = Buffer.from(pkcs8 ?? '', 'base64');
    const { x = '', y = '' } = createPublicKey(
      createPrivateKey({ key, format: 'der', type: 'pkcs8' }),
    ).export({ format: 'jwk' });
    return jwkThumbprint({ kty: 'EC', crv: 'P-256', x, y });
  };
  const listed = (secrets: Readonly<Record<string, string | null>>) =>
    Object.fromEntries(
      Object.entries(JSON.parse(secrets.PUBLIC_KEYS ?? '')).map(([purpose, keys]) => [
        purpose,
        Array.isArray(keys) ? keys.map(jwkThumbprint) : [],
      ]),
    );
  const keySet = (secrets: Readonly<Record<string, string | null>>) =>
    keySetClaims.parse(
      JSON.parse(Buffer.from(secrets.KEY_SET?.split('.')[1] ?? '', 'base64url').toString()),
    );

  it('prints what each step changes, in the order in which it is safe', async () => {
    const dataDirectory = join(temporaryDirectory(), 'data');
    const options = { dataDirectory, brokerUrl };
    const first = await cloudflareSecrets(options, nowMs);
    const { paths, tokenKeys } = await ensureDataDirectory(dataDirectory, { brokerUrl, nowMs });

    const published = await rotateCloudflareKeys(options, everything, nowMs);
    expect(Object.keys(published.secrets).toSorted()).toEqual([
      'KEY_SET',
      'PUBLIC_KEYS',
      'RESPONSE_KEY_OTHER',
    ]);
    const next = readTokenKeys(paths);
    expect(listed(published.secrets)).toEqual({
      challenge: keyIdsOf(next.challenge),
      mtls_evidence: keyIdsOf(next['mtls-evidence']),
      decision: keyIdsOf(next.decision),
      response_encryption: keyIdsOf(next.response),
      audit: keyIdsOf(next.audit),
    });
    expect(keySet(published.secrets).keys).toHaveLength(2);
    expect(kidOf(published.secrets.RESPONSE_KEY_OTHER)).toBe(next.response.next?.kid);
    expect(published.report).toContain('Come again after 2026-11-21T00:10:00.000Z');

    await expect(
      rotateCloudflareKeys(options, everything, nowMs + 10 * minuteMs - 1),
    ).rejects.toMatchObject({
      failure: 'setting_invalid',
      message: expect.stringContaining('Nothing is due before 2026-11-21T00:10:00.000Z'),
    });
    const used = await rotateCloudflareKeys(options, everything, nowMs + 10 * minuteMs);
    // The key set says the same as before.
    expect(Object.keys(used.secrets).toSorted()).toEqual([
      'AUDIT_KEY',
      'CHALLENGE_KEY',
      'DECISION_KEY',
      'MTLS_EVIDENCE_KEY',
      'PUBLIC_KEYS',
      'RESPONSE_KEY',
      'RESPONSE_KEY_OTHER',
    ]);
    expect(kidOf(used.secrets.CHALLENGE_KEY)).toBe(next.challenge.next?.kid);
    expect(kidOf(used.secrets.RESPONSE_KEY_OTHER)).toBe(tokenKeys.response.inUse.kid);
    expect(listed(used.secrets).decision).toEqual(keyIdsOf(next.decision).toReversed());

    const retired = await rotateCloudflareKeys(options, everything, nowMs + 25 * minuteMs);
    expect(Object.keys(retired.secrets).toSorted()).toEqual([
      'KEY_SET',
      'PUBLIC_KEYS',
      'RESPONSE_KEY_OTHER',
    ]);
    expect(retired.secrets.RESPONSE_KEY_OTHER).toBe(null);
    expect(keySet(retired.secrets)).toMatchObject({ version: 3, keys: [{}] });
    expect(retired.report).toContain('The rotation is complete.');
    expect(readdirSync(paths.keys).filter((name) => /-[\w-]{43}\.pem$/.test(name))).toHaveLength(5);

    const last = await cloudflareSecrets(options, nowMs);
    const steps = { ...first, ...published.secrets, ...used.secrets, ...retired.secrets };
    expect({ ...last, RESPONSE_KEY_OTHER: null }).toEqual(steps);
  });
});
