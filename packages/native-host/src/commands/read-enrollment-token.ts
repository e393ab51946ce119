import { readFileSync } from 'node:fs';
import { base64urlOf, parseFields } from '@countersign/protocol/schemas';
import { parseOrganizationSecret } from '../enrollment/organization-secret.ts';
import { fail, type Result } from '../result.ts';

/** Where a token may come from. Never the command line, which every process on the machine can read. */
export type TokenSources = {
  readonly tokenFile?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly standardInput: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean };
  /** Asks whoever sits at a terminal. */
  readonly prompt: (text: string) => void;
};

export const tokenVariable = 'COUNTERSIGN_ENROLLMENT_TOKEN';
const maxTokenBytes = 1024;

/** Whether a token was given without anybody being asked for it. */
export function hasToken({ tokenFile, environment }: TokenSources): boolean {
  return tokenFile !== undefined || environment[tokenVariable] !== undefined;
}

/**
 * The token, or the organization secret in its place, from the file, else from the environment, else from standard
 * input; white space around it is dropped.
 */
export async function readEnrollmentToken(
  sources: TokenSources,
): Promise<Result<string, 'usage_invalid'>> {
  const raw = await readRaw(sources);
  if (!raw.ok) return raw;
  const text = raw.value.text.trim();
  if (parseOrganizationSecret(text) !== undefined) return { ok: true, value: text };
  return parseFields(base64urlOf(32), text).ok
    ? { ok: true, value: text }
    : fail(
        'usage_invalid',
        `${raw.value.from} must be base64url of exactly 32 bytes, or an organization secret (cses_…)`,
      );
}

async function readRaw(
  sources: TokenSources,
): Promise<Result<{ readonly text: string; readonly from: string }, 'usage_invalid'>> {
  const { tokenFile, environment, standardInput } = sources;
  if (tokenFile !== undefined) {
    try {
      const text = readFileSync(tokenFile).subarray(0, maxTokenBytes).toString();
      return { ok: true, value: { text, from: 'the enrollment token in --token-file' } };
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
      return fail('usage_invalid', `the file of --token-file cannot be read (${code})`);
    }
  }
  const fromEnvironment = environment[tokenVariable];
  if (fromEnvironment !== undefined) {
    return { ok: true, value: { text: fromEnvironment, from: tokenVariable } };
  }
  if (standardInput.isTTY === true) sources.prompt('Enrollment token: ');
  let text = '';
  for await (const chunk of standardInput) {
    text += Buffer.from(chunk).toString();
    if (text.includes('\n') || text.length > maxTokenBytes) break;
  }
  const [firstLine = ''] = text.slice(0, maxTokenBytes).split('\n');
  return { ok: true, value: { text: firstLine, from: 'the enrollment token on standard input' } };
}
