import { expect, it } from 'vitest';
import { learnMoreInput } from './learn-more.ts';
import { parseFields } from './schemas.ts';

const check = (learn_more_url: unknown) => parseFields(learnMoreInput, { learn_more_url });

it.each([
  '',
  'https://it.example.com',
  'https://it.example.com/',
  'https://it.example.com:8443/devices?from=sign-in#next',
  'https://xn--bcher-kva.example/hilfe',
  'https://192.0.2.7/help',
])('takes %j', (url) => {
  expect(check(url)).toEqual({ ok: true, value: { learn_more_url: url } });
});

it.each([
  'http://it.example.com',
  'javascript:alert(1)',
  'JavaScript:alert(1)',
  'java\nscript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'vbscript:x',
  'file:///etc/passwd',
  '//evil.example.com',
  '/devices',
  'it.example.com',
  'https:it.example.com',
  'https:/it.example.com',
  'https://',
  'https://intranet',
  'https://localhost/x',
  'https://user@it.example.com',
  'https://it.example.com@evil.example.com',
  'https://user:secret@it.example.com',
  ' https://it.example.com',
  'https://it.example.com ',
  'https://it.example.com/a b',
  'https://it.example.com/"onclick="x',
  'https://it.example.com/<b>',
  'https://it.example.com\\@evil.example.com',
  'https://IT.example.com',
  'https://it.example.com/../x',
  'https://it.example.com:443/',
  'https://bücher.example',
  'https://it.example.com/\u202etxt',
  `https://it.example.com/${'x'.repeat(2048)}`,
  null,
  7,
  {},
])('refuses %j, naming the member', (url) => {
  expect(check(url)).toMatchObject({ ok: false, field: 'learn_more_url' });
});
