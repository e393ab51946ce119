import { describe, expect, it } from 'vitest';
import { attempt, expectValue, fail, succeed, X509Error } from './result.ts';

describe('attempt', () => {
  it('gives the value', () => {
    expect(attempt(() => 7)).toEqual({ ok: true, value: 7 });
  });

  it('turns a refusal into a failure with its reason', () => {
    const refuse = () => {
      throw new X509Error('weak_key', 'why');
    };
    expect(attempt(refuse)).toEqual({ ok: false, reason: 'weak_key', detail: 'why' });
  });

  it('lets a bug through', () => {
    const bug = () => {
      throw new TypeError('bug');
    };
    expect(() => attempt(bug)).toThrow(TypeError);
  });

  it('passes a failure on from within', () => {
    expect(attempt(() => expectValue(fail('expired', 'when')))).toEqual(fail('expired', 'when'));
    expect(attempt(() => expectValue(succeed(7)))).toEqual(succeed(7));
  });
});
