import type { Bytes } from './bytes.ts';
import { fail, succeed, type X509Result } from './result.ts';

export type PemLabel = 'CERTIFICATE' | 'CERTIFICATE REQUEST' | 'PUBLIC KEY' | 'PRIVATE KEY';

const maxPemCharacters = 1_048_576;
const lineCharacters = 64;

/** One block as RFC 7468 §3 tells generators to write it: lines of 64 characters, LF. */
export function encodePem(label: PemLabel, der: Uint8Array): string {
  let binary = '';
  for (const byte of der) binary += String.fromCharCode(byte);
  const lines = btoa(binary).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.map((line) => `${line}\n`).join('')}-----END ${label}-----\n`;
}

/** Exactly one block with this label and nothing else (RFC 7468 strict form; LF or CRLF). */
export function decodePem(text: string, label: PemLabel): X509Result<Bytes> {
  const blocks = decodePemSequence(text, label);
  if (!blocks.ok) return blocks;
  const [only, more] = blocks.value;
  return only === undefined || more !== undefined
    ? fail('malformed_pem', 'PEM: not exactly one block')
    : succeed(only);
}

/** One or more blocks, all with this label, directly one after another: a chain file. */
export function decodePemSequence(text: string, label: PemLabel): X509Result<readonly Bytes[]> {
  if (text.length > maxPemCharacters) return fail('too_large', 'PEM: more than 1 MiB');
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  if (lines.at(-1) === '') lines.pop();
  const blocks: Bytes[] = [];
  let body: string[] | undefined;
  for (const line of lines) {
    if (body === undefined) {
      if (line !== `-----BEGIN ${label}-----`) return unexpectedLine(line);
      body = [];
    } else if (line === `-----END ${label}-----`) {
      const block = decodeBody(body);
      if (block === undefined) return fail('malformed_pem', 'PEM: base64 not canonical');
      blocks.push(block);
      body = undefined;
    } else {
      body.push(line);
    }
  }
  return body !== undefined || blocks.length === 0
    ? fail('malformed_pem', 'PEM: no complete block')
    : succeed(blocks);
}

function unexpectedLine(line: string): X509Result<never> {
  return /^-----BEGIN [A-Z0-9 ]+-----$/.test(line)
    ? fail('pem_label_not_allowed', 'PEM: a block with another label')
    : fail('malformed_pem', 'PEM: text outside of a block');
}

/** Full lines but for the last; the text must be what encoding the result gives (RFC 4648 §3.5). */
function decodeBody(lines: readonly string[]): Bytes | undefined {
  const last = lines.length - 1;
  const full = lines.every((line, i) =>
    i < last ? line.length === lineCharacters : line.length >= 1 && line.length <= lineCharacters,
  );
  const text = lines.join('');
  if (!full || text === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) {
    return undefined;
  }
  const binary = atob(text);
  if (btoa(binary) !== text) return undefined;
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
