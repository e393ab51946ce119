import { describe, expect, it } from 'vitest';
import { parseBrokerUrl } from './broker-url.ts';

describe('parseBrokerUrl', () => {
  it.each([
    ['https://broker.example.com', 'https://broker.example.com'],
    ['https://broker.example.com/', 'https://broker.example.com'],
    ['HTTPS://Broker.Example.com:443', 'https://broker.example.com'],
    ['https://broker.example.com:8443', 'https://broker.example.com:8443'],
    ['http://127.0.0.1:8780', 'http://127.0.0.1:8780'],
    ['http://localhost:8780/', 'http://localhost:8780'],
    ['http://[::1]:8780', 'http://[::1]:8780'],
  ])('%s is %s', (text, url) => {
    expect(parseBrokerUrl(text)).toEqual({ ok: true, value: url });
  });

  it.each([
    ['', 'is not a URL'],
    ['broker.example.com', 'is not a URL'],
    ['http://broker.example.com', 'must be https'],
    ['http://127.0.0.1.example.com', 'must be https'],
    ['http://0.0.0.0:8780', 'must be https'],
    ['ftp://broker.example.com', 'must be https'],
    ['file:///etc/passwd', 'must not hold a path'],
    ['https://user@broker.example.com', 'must not hold a user'],
    ['https://user:secret@broker.example.com', 'must not hold a user'],
    ['https://broker.example.com/path', 'must not hold a path'],
    ['https://broker.example.com?', 'must not hold a path'],
    ['https://broker.example.com/?a=1', 'must not hold a path'],
    ['https://broker.example.com/#', 'must not hold a path'],
  ])('%j is refused', (text, detail) => {
    expect(parseBrokerUrl(text)).toEqual({
      ok: false,
      reason: 'broker_url_invalid',
      detail: expect.stringContaining(detail),
    });
  });
});
