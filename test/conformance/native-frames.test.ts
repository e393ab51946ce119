// #49: what the shipped host does with input that is no sequence of messages.
import type { UnavailableCode } from '@countersign/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frame, frameHeader, NativeHost, readFrames } from '../support/native-host.ts';
import { peakMemoryMiB } from '../support/process-memory.ts';

let host: NativeHost;
beforeAll(async () => {
  host = await NativeHost.install();
});
afterAll(() => host?.remove());

const status = (id = '1') => ({ version: 1, id, type: 'status' });
const maxMessageBytes = 64 * 1024;

/** A message of exactly this many bytes. */
function messageOf(bytes: number): Buffer {
  const text = JSON.stringify({ ...status(), type: 'attest', origin: '', challenge: '' });
  return Buffer.from(
    text.replace('"challenge":""', `"challenge":"${'A'.repeat(bytes - text.length)}"`),
  );
}

describe('#49 input that is no sequence of frames', () => {
  const cases: Record<string, [input: Buffer, codes: UnavailableCode[], exitCode: number]> = {
    'a length of 0': [frameHeader(0), ['message_too_large'], 1],
    'a length of 0 before a message': [
      Buffer.concat([frameHeader(0), frame(status())]),
      ['message_too_large'],
      1,
    ],
    'a length of 4 GB': [frameHeader(0xffffffff), ['message_too_large'], 1],
    'a length of 2 GB, which could be taken for a negative one': [
      frameHeader(0x80000000),
      ['message_too_large'],
      1,
    ],
    'a million nested lists': [
      frame(Buffer.from('['.repeat(500_000) + ']'.repeat(500_000))),
      ['message_too_large'],
      1,
    ],
    'one byte more than 64 KiB': [frameHeader(maxMessageBytes + 1), ['message_too_large'], 1],
    'a length in the other byte order': [
      Buffer.concat([frameHeader(2).reverse(), Buffer.from('{}')]),
      ['message_too_large'],
      1,
    ],
    HTTP: [Buffer.from('GET / HTTP/1.1\r\n\r\n'), ['message_too_large'], 1],
    'an end in the middle of a length': [frameHeader(10).subarray(0, 3), [], 1],
    'an end after a length': [frameHeader(10), [], 1],
    'an end in the middle of a message': [frame(status()).subarray(0, -1), [], 1],
    'an end in the middle of the second message': [
      Buffer.concat([frame({ version: 1 }), frame(status()).subarray(0, 9)]),
      ['message_malformed'],
      1,
    ],
    'nothing at all': [Buffer.alloc(0), [], 0],
  };
  it.each(Object.entries(cases))('%s', async (_, [input, codes, exitCode]) => {
    const result = await host.converse(input);
    expect(result.answers).toMatchObject(codes.map((code) => ({ type: 'error', id: '', code })));
    expect(result.exitCode).toBe(exitCode);
  });

  it('is read no further: what follows a length of 4 GB is neither kept nor answered', async () => {
    let peak = 0;
    const megabytes = 64;
    const rest = Buffer.alloc(megabytes * 1024 * 1024, 0x20);
    const { answers, exitCode } = await host.converse(
      Buffer.concat([frameHeader(0xffffffff), rest, frame(status())]),
      {
        onStarted: ({ pid }) => {
          const timer = setInterval(() => {
            try {
              peak = Math.max(peak, peakMemoryMiB(pid ?? 0));
            } catch {
              clearInterval(timer);
            }
          }, 2);
        },
      },
    );
    expect(answers).toMatchObject([{ type: 'error', code: 'message_too_large' }]);
    expect(exitCode).toBe(1);
    expect(peak).toBeGreaterThan(10);
    expect(peak).toBeLessThan(160);
  });
});

describe('#49 a message that is none', () => {
  const cases: Record<string, [message: string | Buffer, code: UnavailableCode]> = {
    'no JSON': ['{', 'message_malformed'],
    'no UTF-8': [Buffer.from([0x22, 0xff, 0x22]), 'message_malformed'],
    'a byte order mark alone': [Buffer.from([0xef, 0xbb, 0xbf]), 'message_malformed'],
    'a list': ['[]', 'message_malformed'],
    null: ['null', 'message_malformed'],
    'a number without end': ['1e400', 'message_malformed'],
    'a version without end': [
      '{"version":1e400,"id":"1","type":"status"}',
      'host_version_unsupported',
    ],
    'no UTF-8 inside of a text': [
      Buffer.from('{"version":1,"id":"\xff","type":"status"}', 'latin1'),
      'message_malformed',
    ],
    'half of a character in the bytes': [
      Buffer.concat([
        Buffer.from('{"version":1,"id":"'),
        Buffer.from([0xed, 0xa0, 0x80]),
        Buffer.from('","type":"status"}'),
      ]),
      'message_malformed',
    ],
    'an empty object': ['{}', 'message_malformed'],
    'no id': [JSON.stringify({ version: 1, type: 'status' }), 'message_malformed'],
    'an empty id': [JSON.stringify(status('')), 'message_malformed'],
    'an id of 65 characters': [JSON.stringify(status('x'.repeat(65))), 'message_malformed'],
    'no version': [JSON.stringify({ id: '1', type: 'status' }), 'message_malformed'],
    'a version as text': [JSON.stringify({ ...status(), version: '1' }), 'message_malformed'],
    'an unknown purpose': [
      JSON.stringify({ ...status(), type: 'export_key' }),
      'message_malformed',
    ],
    'a purpose of objects': [
      JSON.stringify({ ...status(), type: 'constructor' }),
      'message_malformed',
    ],
    'a member too many': [JSON.stringify({ ...status(), extra: 1 }), 'message_malformed'],
    __proto__: ['{"version":1,"id":"1","type":"status","__proto__":{"a":1}}', 'message_malformed'],
    'a member twice': [
      '{"version":1,"id":"1","type":"attest","type":"status"}',
      'message_malformed',
    ],
    'nested as deeply as fits': [
      '['.repeat(maxMessageBytes / 2) + ']'.repeat(maxMessageBytes / 2),
      'message_malformed',
    ],
    'half of a character as id': [
      '{"version":1,"id":"\\ud800","type":"sign"}',
      'message_malformed',
    ],
  };
  it.each(Object.entries(cases))(
    '%s is answered with its code, and the next one is answered',
    async (_, [message, code]) => {
      const input = Buffer.concat([frame(Buffer.from(message)), frame(status('next'))]);
      const { answers, exitCode } = await host.converse(input);
      expect(answers).toMatchObject([
        { type: 'error', code },
        { type: 'status', id: 'next' },
      ]);
      expect(exitCode).toBe(0);
    },
  );

  it('as large as allowed is read, with a byte more it is refused', async () => {
    const { answers } = await host.converse(frame(messageOf(maxMessageBytes)));
    expect(answers).toMatchObject([{ type: 'error', code: 'message_malformed' }]);
    const larger = await host.converse(frame(messageOf(maxMessageBytes + 1)));
    expect(larger.answers).toMatchObject([{ type: 'error', code: 'message_too_large' }]);
  });
});

it('#49 messages are the same however the pipe splits and joins them', async () => {
  const bytes = Buffer.concat([frame(status('a')), frame(status('b')), frame(status('c'))]);
  const child = host.start(['--config', host.configurationPath, 'native-messaging']);
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  const closed = new Promise((resolve) => child.once('close', resolve));
  for (const [index, byte] of bytes.entries()) {
    child.stdin.write(Uint8Array.of(byte));
    if (index % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  child.stdin.end();
  await closed;
  expect(readFrames(Buffer.concat(output)).map(({ id, type }) => [id, type])).toEqual([
    ['a', 'status'],
    ['b', 'status'],
    ['c', 'status'],
  ]);
});

it('#51 no message makes standard output anything but frames, or standard error a place for secrets', async () => {
  const secret = 'S3CRET'.repeat(10);
  const { errors } = await host.converse(
    Buffer.concat([
      frame({ ...status(), extra: secret }),
      frame(Buffer.from(secret)),
      frame({ version: 1, id: '1', type: 'attest', challenge: secret, origin: secret }),
    ]),
  );
  expect(errors).not.toContain(secret);
});
