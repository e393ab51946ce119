import { problemCodes } from '@countersign/protocol';
import { problemDocument } from '@countersign/protocol/problem';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import { describe, expect, it } from 'vitest';
import { problemResponse } from './problem.ts';

describe('problemResponse', () => {
  it.each(problemCodes)(
    '%s is a problem document with texts and a fitting status',
    async (code) => {
      const response = problemResponse({ code });
      expect(response.headers.get('Content-Type')).toBe('application/problem+json');
      const document = problemDocument.parse(await response.json());
      expect(document).toEqual({
        type: `urn:countersign:problem:${code}`,
        title: reasonTexts[code].administrator,
        status: response.status,
        code,
        user_text: reasonTexts[code].person,
      });
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(response.status).toBeLessThan(600);
    },
  );

  it('keeps for the log what is for the log', async () => {
    const response = problemResponse({
      code: 'field_invalid',
      field: 'subject.id',
      detail: 'is missing',
      logDetail: 'secret',
    });
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ field: 'subject.id', detail: 'is missing' });
    expect(text).not.toContain('secret');
  });

  it.each([
    ['client_authentication_failed', 401, 'WWW-Authenticate', 'Basic realm="countersign", Bearer'],
    ['admin_authentication_failed', 401, 'WWW-Authenticate', 'Bearer'],
    ['rate_limited', 429, 'Retry-After', '60'],
    ['storage_unavailable', 503, 'Retry-After', '1'],
    ['snapshot_unavailable', 503, 'Retry-After', '1'],
  ] as const)('%s is a %i with %s', (code, status, header, value) => {
    const response = problemResponse({ code });
    expect([response.status, response.headers.get(header)]).toEqual([status, value]);
  });

  it('names the methods that are allowed', () => {
    const response = problemResponse({ code: 'method_not_allowed', allow: 'POST, OPTIONS' });
    expect([response.status, response.headers.get('Allow')]).toEqual([405, 'POST, OPTIONS']);
  });

  it('lets a code say when to try again', () => {
    const response = problemResponse({ code: 'rate_limited', retryAfterSeconds: 7 });
    expect(response.headers.get('Retry-After')).toBe('7');
  });
});
