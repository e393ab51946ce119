// A program in the place of the native host: says to the extension what the file tells it that its first argument names.
import { createPrivateKey } from 'node:crypto';
import { readFileSync, readSync, writeSync } from 'node:fs';
import { endianness } from 'node:os';
import { nativeRequest } from '@countersign/protocol/native-messages';
import * as z from 'zod/mini';
import { partsOf, recipientOf } from '../forge-response.ts';
import { encryptJwe, signEs256 } from '../forge-token.ts';

/** Either an answer that was heard before, or what to make one of. */
const lieSchema = z.union([
  z.strictObject({ response: z.string() }),
  z.strictObject({
    /** Base64 of DER. */
    certificate: z.string(),
    /** PEM. */
    private_key: z.string(),
  }),
]);
export type Lie = z.infer<typeof lieSchema>;

function makeResponse(lie: Lie, challenge: string, origin: string): string {
  if ('response' in lie) return lie.response;
  const certificate = new Uint8Array(Buffer.from(lie.certificate, 'base64'));
  const { header, claims } = partsOf(challenge, { certificate }, origin);
  const jws = signEs256(header, claims, createPrivateKey(lie.private_key));
  return encryptJwe(jws, recipientOf(challenge));
}

const littleEndian = endianness() === 'LE';

/** One message from standard input, which browsers leave open. */
function readMessage(): unknown {
  const take = (length: number) => {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; ) {
      const count = readSync(0, bytes, at, length - at, null);
      if (count === 0) throw new Error('the input ended');
      at += count;
    }
    return bytes;
  };
  const header = take(4);
  const length = littleEndian ? header.readUInt32LE() : header.readUInt32BE();
  return JSON.parse(take(length).toString());
}

function answer(lie: Lie): object {
  const request = nativeRequest.parse(readMessage());
  const envelope = { version: 1, id: request.id, type: request.type };
  if (request.type === 'attest') {
    return { ...envelope, response: makeResponse(lie, request.challenge, request.origin) };
  }
  const status = { host_version: '9.9.9', enrolled: true, development: false, origins: [] };
  return { ...envelope, status };
}

const [, , file = ''] = process.argv;
const lie = lieSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
const body = Buffer.from(JSON.stringify(answer(lie)));
const header = Buffer.alloc(4);
if (littleEndian) header.writeUInt32LE(body.length);
else header.writeUInt32BE(body.length);
writeSync(1, Buffer.concat([header, body]));
