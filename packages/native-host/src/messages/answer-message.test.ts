import { nativeAnswer } from '@countersign/protocol/native-messages';
import { describe, expect, it } from 'vitest';
import { fail, succeed } from '../result.ts';
import { answerMessage, type Purposes } from './answer-message.ts';

const challenge = 'eyJhIjoxfQ.eyJhIjoxfQ.AAAA';
const origin = 'https://sso.example.com';
const status = { host_version: '1', enrolled: false, development: false, origins: [origin] };
const attest = { version: 1, id: '7', type: 'attest', challenge, origin };

/** Answers, and remembers what it was asked. */
function purposes(changes: Partial<Purposes> = {}) {
  const asked: unknown[] = [];
  const all: Purposes = {
    attest: async (request) => {
      asked.push(request);
      return succeed('a.b.c.d.e');
    },
    status: async () => succeed(status),
    ...changes,
  };
  return { asked, all };
}

async function answer(message: unknown, { all } = purposes()) {
  const text = typeof message === 'string' ? message : JSON.stringify(message);
  const defects: unknown[] = [];
  const answered = await answerMessage(Buffer.from(text), all, (error) => defects.push(error));
  // Whatever happens, the answer is one that extensions understand.
  expect(nativeAnswer.parse(answered)).toEqual(answered);
  return { answered, defects };
}

describe('a message is answered by its purpose', () => {
  it('attest', async () => {
    const { asked, all } = purposes();
    const { answered } = await answer(attest, { asked, all });
    expect(answered).toEqual({ version: 1, id: '7', type: 'attest', response: 'a.b.c.d.e' });
    expect(asked).toEqual([{ challenge, origin }]);
  });

  it('status', async () => {
    const { answered } = await answer({ version: 1, id: 'x', type: 'status' });
    expect(answered).toEqual({ version: 1, id: 'x', type: 'status', status });
  });

  it('with the reason when it cannot be', async () => {
    const refusing = purposes({
      attest: async () => fail('origin_not_allowed', 'not on the list'),
      status: async () => fail('host_configuration_invalid', 'does not exist'),
    });
    expect((await answer(attest, refusing)).answered).toEqual({
      version: 1,
      id: '7',
      type: 'error',
      code: 'origin_not_allowed',
      detail: 'not on the list',
    });
    const { answered } = await answer({ version: 1, id: 's', type: 'status' }, refusing);
    expect(answered).toMatchObject({ id: 's', code: 'host_configuration_invalid' });
  });

  it('without giving away what broke inside', async () => {
    const error = new Error('secret inside');
    const { answered, defects } = await answer(
      attest,
      purposes({ attest: () => Promise.reject(error) }),
    );
    expect(answered).toMatchObject({ id: '7', type: 'error', code: 'host_internal_error' });
    expect(JSON.stringify(answered)).not.toContain('secret');
    expect(defects).toEqual([error]);
  });
});

describe('a message that does not fit is refused, and asks nothing of any purpose', () => {
  it.each<[message: unknown, id: string, detail: string]>([
    ['', '', 'is not JSON'],
    ['{"version":1', '', 'is not JSON'],
    ['null', '', '(body) must be of type object'],
    ['[]', '', '(body)'],
    ['"attest"', '', '(body)'],
    [`${'['.repeat(60_000)}`, '', 'is not JSON'],
    [`${'['.repeat(30_000)}${']'.repeat(30_000)}`, '', '(body)'],
    ['{"version":1,"id":"7","type":"status","type":"status"}', '', 'names the member "type" twice'],
    ['{"version":1,"id":"7","type":"status","__proto__":{"a":1}}', '7', '__proto__ is not known'],
    ['{"version":1e400,"id":"7","type":"status"}', '7', ''],
    [{ id: '7', type: 'status' }, '7', 'version'],
    [{ version: '1', id: '7', type: 'status' }, '7', 'version'],
    [{ version: 1, type: 'status' }, '', 'id must be of type string'],
    [{ version: 1, id: 7, type: 'status' }, '', 'id must be of type string'],
    [{ version: 1, id: '', type: 'status' }, '', 'id must be at least 1'],
    [{ version: 1, id: 'x'.repeat(65), type: 'status' }, '', 'id must be at most 64'],
    [{ version: 1, id: '7', type: 'sign' }, '7', 'type'],
    [{ version: 1, id: '7', type: 'constructor' }, '7', 'type'],
    [{ version: 1, id: '7', type: 'status', more: 1 }, '7', 'more is not known'],
    [{ ...attest, data: 'AAAA' }, '7', 'data is not known'],
    [{ ...attest, challenge: undefined }, '7', 'challenge'],
    [{ ...attest, challenge: ` ${challenge}` }, '7', 'challenge must be a compact JWS'],
    [{ ...attest, challenge: `${challenge}.AA` }, '7', 'challenge must be a compact JWS'],
    [{ ...attest, challenge: `${challenge}${'A'.repeat(9000)}` }, '7', 'challenge must be at most'],
    [{ ...attest, origin: undefined }, '7', 'origin'],
    [{ ...attest, origin: 'null' }, '7', 'origin must be an origin'],
    [{ ...attest, origin: 'http://sso.example.com' }, '7', 'origin must be an origin'],
    [{ ...attest, origin: `${origin}/path` }, '7', 'origin must be an origin'],
    [{ ...attest, origin: `https://user@sso.example.com` }, '7', 'origin must be an origin'],
    [{ ...attest, origin: `${origin}\u0000` }, '7', 'origin must be an origin'],
  ])('%j', async (message, id, detail) => {
    const { asked, all } = purposes();
    const { answered } = await answer(message, { asked, all });
    if (answered.type !== 'error') throw new Error('it was answered');
    expect(['message_malformed', 'host_version_unsupported']).toContain(answered.code);
    expect(answered).toMatchObject({ id, detail: expect.stringContaining(detail) });
    expect(asked).toEqual([]);
  });

  it.each([0, 2, 99, 1.5, -1])('version %d', async (version) => {
    const { answered } = await answer({ version, id: '7', type: 'anything', new: true });
    expect(answered).toMatchObject({ id: '7', code: 'host_version_unsupported' });
  });

  it('bytes that are not UTF-8', async () => {
    const bytes = Buffer.from('{"version":1,"id":"\xff","type":"status"}', 'latin1');
    const answered = await answerMessage(bytes, purposes().all, () => undefined);
    expect(answered).toMatchObject({
      code: 'message_malformed',
      detail: 'the message is not UTF-8',
    });
  });

  it('changes no prototype', async () => {
    await answer('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});
