import { describe, expect, it } from 'vitest';
import { openSecret, sealSecret } from './sealed-secret.ts';

const makeKey = () =>
  crypto.subtle.importKey('raw', crypto.getRandomValues(new Uint8Array(32)), 'AES-GCM', false, [
    'encrypt',
    'decrypt',
  ]);

describe('a sealed secret', () => {
  it('opens for its context with its key', async () => {
    const key = await makeKey();
    const sealed = await sealSecret(key, 'a/1', 'pässwörd');
    expect(await openSecret(key, 'a/1', sealed)).toBe('pässwörd');
    expect(sealed).not.toContain('pässwörd');
  });

  it('is never the same twice', async () => {
    const key = await makeKey();
    expect(await sealSecret(key, 'a', 's')).not.toBe(await sealSecret(key, 'a', 's'));
  });

  it('opens neither for another context nor with another key', async () => {
    const key = await makeKey();
    const sealed = await sealSecret(key, 'a/1', 'secret');
    expect(await openSecret(key, 'a/2', sealed)).toBeUndefined();
    expect(await openSecret(await makeKey(), 'a/1', sealed)).toBeUndefined();
  });

  it('does not open when a character of it is another, or it is cut off', async () => {
    const key = await makeKey();
    const sealed = await sealSecret(key, 'a', 'secret');
    for (const broken of [
      '',
      'v1',
      'v1.',
      'v1.AAAA',
      sealed.replace('v1.', 'v2.'),
      sealed.slice(0, -4),
      `${sealed.slice(0, 20)}${sealed[20] === 'A' ? 'B' : 'A'}${sealed.slice(21)}`,
      `${sealed}.x`,
    ]) {
      expect([broken, await openSecret(key, 'a', broken)]).toEqual([broken, undefined]);
    }
  });
});
