import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { makeOrganizationSecret } from '@countersign/testkit/organization-secret';
import { afterAll, describe, expect, it } from 'vitest';
import { readEnrollmentToken, type TokenSources } from './read-enrollment-token.ts';

const token = 'A'.repeat(43);
const folder = mkdtempSync(join(tmpdir(), 'countersign-token-'));
afterAll(() => rmSync(folder, { recursive: true }));

function read(changes: Partial<TokenSources> = {}) {
  return readEnrollmentToken({
    environment: {},
    standardInput: Readable.from([]),
    prompt: () => undefined,
    ...changes,
  });
}

function fileWith(content: string): string {
  const path = join(folder, 'token');
  writeFileSync(path, content);
  return path;
}

describe('the enrollment token', () => {
  it('is read from the file before anything else', async () => {
    const environment = { COUNTERSIGN_ENROLLMENT_TOKEN: 'B'.repeat(43) };
    const tokenFile = fileWith(`${token}\r\n`);
    expect(await read({ tokenFile, environment })).toEqual({ ok: true, value: token });
  });

  it('may be an organization secret', async () => {
    const secret = makeOrganizationSecret().text;
    expect(await read({ tokenFile: fileWith(`${secret}\n`) })).toEqual({ ok: true, value: secret });
  });

  it('is read from the environment', async () => {
    const environment = { COUNTERSIGN_ENROLLMENT_TOKEN: ` ${token}` };
    expect(await read({ environment })).toEqual({ ok: true, value: token });
  });

  it('is read from standard input, in any pieces, up to the end of the line', async () => {
    const pieces = [Buffer.from(token.slice(0, 7)), Buffer.from(`${token.slice(7)}\nmore`)];
    const standardInput = Readable.from(pieces);
    expect(await read({ standardInput })).toEqual({ ok: true, value: token });
  });

  it('is asked for at a terminal alone', async () => {
    const prompts: string[] = [];
    const prompt = (text: string) => prompts.push(text);
    await read({ standardInput: Readable.from([Buffer.from(token)]), prompt });
    expect(prompts).toEqual([]);
    const terminal = Object.assign(Readable.from([Buffer.from(`${token}\n`)]), { isTTY: true });
    expect(await read({ standardInput: terminal, prompt })).toEqual({ ok: true, value: token });
    expect(prompts).toEqual(['Enrollment token: ']);
  });

  it.each(['', 'short', `${token}A`, `${token}=`, `${token} ${token}`, 'Ä'.repeat(43)])(
    'is refused without being repeated: %j',
    async (wrong) => {
      const refused = await read({ tokenFile: fileWith(wrong) });
      expect(refused).toEqual({
        ok: false,
        reason: 'usage_invalid',
        detail:
          'the enrollment token in --token-file must be base64url of exactly 32 bytes, or an organization secret (cses_…)',
      });
    },
  );

  it('is refused when there is no such file, without naming it', async () => {
    expect(await read({ tokenFile: join(folder, token) })).toEqual({
      ok: false,
      reason: 'usage_invalid',
      detail: 'the file of --token-file cannot be read (ENOENT)',
    });
  });

  it('is not read for ever', async () => {
    async function* endless() {
      for (;;) yield Buffer.from('A'.repeat(100));
    }
    const refused = await read({ standardInput: Readable.from(endless()) });
    expect(refused).toMatchObject({ ok: false, reason: 'usage_invalid' });
  });
});
