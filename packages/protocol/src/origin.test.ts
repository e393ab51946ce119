import { describe, expect, it } from 'vitest';
import { isSecureWebOrigin } from './origin.ts';

describe('isSecureWebOrigin', () => {
  it.each([
    'https://sso.example.com',
    'https://sso.example.com:8443',
    'http://localhost:8790',
    'http://127.0.0.1',
    'http://[::1]:8790',
  ])('accepts %s', (text) => expect(isSecureWebOrigin(text)).toBe(true));

  it.each([
    '',
    'null',
    'sso.example.com',
    'https://sso.example.com/',
    'https://sso.example.com/login',
    'https://sso.example.com:443',
    'https://SSO.example.com',
    'https://user@sso.example.com',
    'https://*.example.com',
    'https://*',
    'http://sso.example.com',
    'http://localhost.example.com',
    'ftp://localhost',
    'chrome-extension://abcdefghijklmnop',
  ])('refuses %s', (text) => expect(isSecureWebOrigin(text)).toBe(false));
});
