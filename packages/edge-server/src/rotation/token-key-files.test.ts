import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { newP256Key } from '../data-directory/private-key.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { publish } from './rotate-token-keys.ts';
import {
  makeTokenKey,
  readPublicKeys,
  readTokenKeys,
  sweepTokenKeys,
  writeTokenKeys,
} from './token-key-files.ts';
import { tokenKeyPurposes } from './token-keys.ts';

const nowMs = Date.UTC(2026, 10, 21);
const settings = { brokerUrl: 'http://127.0.0.1:8780', nowMs };

async function created() {
  const directory = join(temporaryDirectory(), 'data');
  return await ensureDataDirectory(directory, settings);
}
const open = (directory: string) => ensureDataDirectory(directory, settings);

describe('token keys in the data folder', () => {
  it('are one for each purpose at first, in use since then, all different', async () => {
    const { tokenKeys, paths } = await created();
    const kids = tokenKeyPurposes.map((purpose) => tokenKeys[purpose].inUse.kid);
    expect(new Set(kids).size).toBe(5);
    for (const purpose of tokenKeyPurposes) {
      expect(tokenKeys[purpose]).toEqual({ inUse: { kid: expect.any(String), sinceMs: nowMs } });
      expect(readPublicKeys(paths, tokenKeys, purpose)).toHaveLength(1);
    }
  });

  it('are refused when one is missing, open to others, or under the name of another', async () => {
    const data = await created();
    const [challenge, decision] = (['challenge', 'decision'] as const).map((purpose) =>
      data.paths.tokenKey(purpose, data.tokenKeys[purpose].inUse.kid),
    );
    chmodSync(challenge ?? '', 0o640);
    await expect(open(data.directory)).rejects.toMatchObject({
      failure: 'data_directory_permissions',
      message: expect.stringContaining(`${challenge} has mode 640`),
    });
    chmodSync(challenge ?? '', 0o600);
    writeFileSync(challenge ?? '', readFileSync(decision ?? ''));
    expect(() => readPublicKeys(data.paths, data.tokenKeys, 'challenge')).toThrow(
      expect.objectContaining({
        failure: 'data_directory_unusable',
        message: `${challenge} holds another key than its name says. Restore it from a backup.`,
      }),
    );
    rmSync(challenge ?? '');
    await expect(open(data.directory)).rejects.toMatchObject({
      failure: 'data_directory_incomplete',
      message: expect.stringContaining(`${challenge} is missing`),
    });
  });

  it('lose what nothing names, and nothing else', async () => {
    const { paths, tokenKeys } = await created();
    const before = readdirSync(paths.keys).toSorted();
    const published = makeTokenKey(paths, 'challenge');
    makeTokenKey(paths, 'response');
    writeFileSync(join(paths.keys, 'notes-of-the-owner.pem'), 'x');
    const keys = publish(tokenKeys, new Map([['challenge', published]]), nowMs);
    sweepTokenKeys(paths, keys);
    expect(readdirSync(paths.keys).toSorted()).toEqual(
      [...before, `challenge-${published}.pem`, 'notes-of-the-owner.pem'].toSorted(),
    );
    writeTokenKeys(paths, keys);
    expect(readTokenKeys(paths)).toEqual(keys);
  });
});

describe('a folder that was made before there were checkpoints', () => {
  it('gets a key for them when it is opened, once, and keeps the others', async () => {
    const { paths, tokenKeys, directory } = await created();
    const { audit, ...others } = JSON.parse(readFileSync(paths.tokenKeys, 'utf8'));
    rmSync(paths.tokenKey('audit', audit.in_use.kid));
    writeFileSync(paths.tokenKeys, JSON.stringify(others));
    const taken = (await open(directory)).tokenKeys;
    expect(taken).toEqual({
      ...tokenKeys,
      audit: { inUse: { kid: expect.any(String), sinceMs: nowMs } },
    });
    expect(taken.audit.inUse.kid).not.toBe(tokenKeys.audit.inUse.kid);
    expect(readPublicKeys(paths, taken, 'audit')).toHaveLength(1);
    expect((await open(directory)).tokenKeys).toEqual(taken);
  });
});

describe('a folder that was made before keys could be rotated', () => {
  async function makeOlder(purposes: readonly ('challenge' | 'decision' | 'response')[]) {
    const data = await created();
    for (const purpose of tokenKeyPurposes) {
      const path = data.paths.tokenKey(purpose, data.tokenKeys[purpose].inUse.kid);
      if (purposes.some((kept) => kept === purpose)) {
        renameSync(path, join(data.paths.keys, `${purpose}.pem`));
      } else rmSync(path);
    }
    rmSync(data.paths.tokenKeys);
    return data;
  }

  it('keeps its keys, and gets one for what came later', async () => {
    const older = await makeOlder(['challenge', 'decision', 'response']);
    const laterMs = nowMs + 5000;
    const taken = await ensureDataDirectory(older.directory, { ...settings, nowMs: laterMs });
    for (const purpose of ['challenge', 'decision', 'response'] as const) {
      const { kid } = older.tokenKeys[purpose].inUse;
      expect(taken.tokenKeys[purpose]).toEqual({ inUse: { kid, sinceMs: laterMs } });
    }
    expect(taken.tokenKeys['mtls-evidence'].inUse.kid).not.toBe(
      older.tokenKeys['mtls-evidence'].inUse.kid,
    );
    expect((await open(older.directory)).tokenKeys).toEqual(taken.tokenKeys);
    expect(existsSync(join(taken.paths.keys, 'challenge.pem'))).toBe(true);
    sweepTokenKeys(taken.paths, taken.tokenKeys);
    expect(readdirSync(taken.paths.keys)).not.toContain('challenge.pem');
    expect((await open(older.directory)).tokenKeys).toEqual(taken.tokenKeys);
  });

  it('is refused when a key of it is lost', async () => {
    const older = await makeOlder(['challenge', 'response']);
    await expect(open(older.directory)).rejects.toMatchObject({
      failure: 'data_directory_incomplete',
      message: expect.stringContaining('token-keys.json is missing'),
    });
  });

  it('is refused when its challenge key is none', async () => {
    const older = await makeOlder(['challenge', 'decision', 'response']);
    const rsa = newP256Key().pem.slice(0, 60);
    writeFileSync(join(older.paths.keys, 'challenge.pem'), rsa);
    await expect(open(older.directory)).rejects.toMatchObject({
      failure: 'data_directory_unusable',
    });
  });
});
