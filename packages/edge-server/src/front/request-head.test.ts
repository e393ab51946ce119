import { expect, it } from 'vitest';
import { requestHead } from './request-head.ts';

it('writes the request line and every header on a line of its own', () => {
  expect(
    requestHead('POST', '/a?b', ['Host', 'a', 'X-Empty', '', 'X-Text', 'a\tb \x7f\x80ÿ']),
  ).toBe('POST /a?b HTTP/1.1\r\nHost: a\r\nX-Empty: \r\nX-Text: a\tb \x7f\x80ÿ\r\n\r\n');
});

// Latin-1 keeps the lower eight bits: of U+010A a line feed, of U+0100 nothing.
it.each(['\r', '\n', '\r\n', '\0', '\u0100', '\u010a', '\u010d', '\u2028', '\u{1f40a}'])(
  'refuses %j wherever it stands',
  (text) => {
    const evil = `a${text}b`;
    expect(requestHead(evil, '/', ['Host', 'a'])).toBeUndefined();
    expect(requestHead('GET', `/${evil}`, ['Host', 'a'])).toBeUndefined();
    expect(requestHead('GET', '/', ['Host', 'a', evil, 'b'])).toBeUndefined();
    expect(requestHead('GET', '/', ['Host', evil, 'X-A', 'b'])).toBeUndefined();
    expect(requestHead('GET', '/', ['Host', 'a', 'X-A', evil])).toBeUndefined();
  },
);
