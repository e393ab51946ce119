import { describe, expect, it } from 'vitest';
import { type AnswerEvent, AnswerParser } from './answer-parser.ts';

/** Heads as they are, data put together, so that it does not matter how the bytes were cut. */
function summary(events: readonly AnswerEvent[]) {
  const heads = events.flatMap((event) => (event.type === 'head' ? [event.head] : []));
  const data = events.flatMap((event) => (event.type === 'data' ? [event.data] : []));
  const ends = events.filter(({ type }) => type === 'end').length;
  return { heads, body: Buffer.concat(data).toString('latin1'), ends };
}

function parse(text: string, { isHeadRequest = false, cuts = [] as number[] } = {}) {
  const parser = new AnswerParser();
  parser.begin(isHeadRequest);
  const bytes = Buffer.from(text, 'latin1');
  const places = [0, ...cuts, bytes.length];
  const events = places
    .slice(1)
    .flatMap((end, index) => parser.read(bytes.subarray(places[index], end)));
  return { ...summary(events), closed: parser.close() };
}

const answers = {
  'a length': [
    'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello',
    { body: 'hello', ends: 1 },
  ],
  'no body': ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', { body: '', ends: 1 }],
  chunks: [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, worldly!\r\n0\r\nX-Trailer: 1\r\n\r\n',
    { body: 'hello, worldly!', ends: 1 },
  ],
  'no content': ['HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n', { body: '', ends: 1 }],
  'not modified': ['HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n', { body: '', ends: 1 }],
  'an interim answer': [
    'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno',
    { body: 'no', ends: 1 },
  ],
  'a body until the end': ['HTTP/1.1 200 OK\r\n\r\nall of it', { body: 'all of it', ends: 0 }],
} as const;

describe('AnswerParser', () => {
  it.each(Object.entries(answers))('reads an answer with %s', (_name, [text, expected]) => {
    const whole = parse(text);
    expect(whole).toMatchObject(expected);
    expect(whole.heads).toHaveLength(1);
    expect(whole.closed).toBe(expected.ends === 0);
  });

  it.each(Object.entries(answers))('reads %s the same however it is cut', (_name, [text]) => {
    const whole = parse(text);
    const everywhere = Array.from({ length: text.length - 1 }, (_, index) => index + 1);
    expect(parse(text, { cuts: everywhere })).toEqual(whole);
    for (const first of everywhere) {
      expect(parse(text, { cuts: [first] })).toEqual(whole);
      for (const second of everywhere.filter((place) => place > first && place % 7 === 0)) {
        expect(parse(text, { cuts: [first, second] })).toEqual(whole);
      }
    }
  });

  it('keeps names, values and order of headers, and says whether the connection stays', () => {
    const text =
      'HTTP/1.1 401 Unauthorized\r\nSet-Cookie: a=1\r\nset-cookie:b=2 \r\nX-Colons: a:b: c\r\nContent-Length: 0\r\n';
    const [head] = parse(`${text}\r\n`).heads;
    expect(head).toEqual({
      status: 401,
      rawHeaders: [
        ...['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'X-Colons', 'a:b: c'],
        ...['Content-Length', '0'],
      ],
      keepAlive: true,
    });
    expect(parse(`${text}Connection: close\r\n\r\n`).heads[0]?.keepAlive).toBe(false);
    expect(parse('HTTP/1.1 200 OK\r\n\r\n').heads[0]?.keepAlive).toBe(false);
  });

  it('expects no body in the answer to HEAD', () => {
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n';
    expect(parse(text, { isHeadRequest: true })).toMatchObject({ body: '', ends: 1 });
  });

  it.each([
    ['another protocol', 'HTTP/1.0 200 OK\r\n\r\n'],
    ['no status', 'HTTP/1.1 OK\r\n\r\n'],
    ['a header without a name', 'HTTP/1.1 200 OK\r\n: x\r\n\r\n'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na'],
    ['two framings', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na'],
    ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\na'],
    ['a wrong chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n'],
    [
      'a chunk that is too long',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n',
    ],
    ['an endless head', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(70_000)}`],
    [
      'an endless chunk line',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(2_000)}`,
    ],
    ['bytes after its end', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab'],
  ])('refuses %s', (_name, text) => {
    expect(() => parse(text)).toThrow("workerd's answer is malformed");
  });

  it('refuses bytes that nobody asked for', () => {
    expect(() => new AnswerParser().read(Buffer.from('HTTP/1.1 200 OK\r\n'))).toThrow('malformed');
  });
});
