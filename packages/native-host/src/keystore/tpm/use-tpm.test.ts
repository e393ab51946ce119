import { describe, expect, it } from 'vitest';
import {
  answerOf,
  type FakeAnswer,
  FakeTransport,
  type SentCommand,
} from '../../testing/fake-transport.ts';
import { hierarchy, type Tpm } from './tpm.ts';
import { TpmError } from './tpm-error.ts';
import { loadUnderStorageKey } from './tpm-keystore.ts';
import { storageKey } from './tpm-templates.ts';
import { useTpm } from './use-tpm.ts';

const createPrimary = 0x131;
const flushContext = 0x165;
const load = 0x157;
const settings = { device: '/dev/null' };
const handle = 0x80000001;
const publicArea = Buffer.from('0005abcdef0123', 'hex');

async function use<Value>(
  action: (tpm: Tpm) => Promise<Value>,
  answers: (command: SentCommand) => FakeAnswer | undefined,
) {
  const transport = new FakeTransport(answers);
  const result = await useTpm(settings, action, async () => transport);
  return { result, transport, codes: transport.sent.map(({ code }) => code) };
}

const primary = (tpm: Tpm) => tpm.createPrimary(hierarchy.owner, storageKey);
const onPrimary = (answer: FakeAnswer) => (command: SentCommand) =>
  command.code === createPrimary ? answer : undefined;

describe('whatever is loaded', () => {
  it('is flushed at the end, and the TPM is closed', async () => {
    const { result, codes, transport } = await use(
      primary,
      onPrimary(answerOf(publicArea, handle)),
    );
    expect(result).toEqual({ ok: true, value: { handle, publicArea: publicArea.subarray(2) } });
    expect(codes).toEqual([createPrimary, flushContext]);
    expect(transport.sent[1]?.bytes.subarray(-4).toString('hex')).toBe('80000001');
    expect(transport.isClosed).toBe(true);
  });

  it('is flushed when what follows fails, by the TPM or by a defect', async () => {
    const answers = (command: SentCommand) =>
      command.code === load ? 0x1df : onPrimary(answerOf(publicArea, handle))(command);
    const failing = async (tpm: Tpm) => {
      const parent = await primary(tpm);
      return await tpm.load(parent, { publicArea, privatePart: publicArea });
    };
    const { result, codes } = await use(failing, answers);
    expect(result).toMatchObject({ ok: false, reason: 'keystore_tpm_failed' });
    expect(codes).toEqual([createPrimary, load, flushContext]);

    const transport = new FakeTransport(answers);
    const defect = async (tpm: Tpm) => {
      await primary(tpm);
      throw new TypeError('a defect');
    };
    await expect(useTpm(settings, defect, async () => transport)).rejects.toThrow('a defect');
    expect(transport.sent.map(({ code }) => code)).toEqual([createPrimary, flushContext]);
    expect(transport.isClosed).toBe(true);
  });

  it('is not flushed where the TPM answers nothing any more', async () => {
    const lost = new TpmError('keystore_tpm_failed', 'no answer');
    const { result, codes } = await use(
      async (tpm) => tpm.sign(await primary(tpm), Buffer.alloc(32)),
      ({ code }) => {
        if (code === createPrimary) return answerOf(publicArea, handle);
        throw lost;
      },
    );
    expect(result).toMatchObject({ ok: false, detail: 'no answer' });
    expect(codes).toEqual([createPrimary, 0x15d]);
  });

  it('is flushed once', async () => {
    const { codes } = await use(
      async (tpm) => tpm.flush(await primary(tpm)),
      onPrimary(answerOf(publicArea, handle)),
    );
    expect(codes).toEqual([createPrimary, flushContext]);
  });
});

describe('what a TPM refuses with', () => {
  it.each([
    ['locked out', 0x921, 'keystore_tpm_locked'],
    ['a hierarchy with a password', 0x9a2, 'keystore_tpm_denied'],
    ['a wrong authorization', 0x98e, 'keystore_tpm_denied'],
    ['a policy that fails', 0x99d, 'keystore_tpm_denied'],
    ['a TPM 1.2', 0x1e, 'keystore_tpm_unsuitable'],
    ['a command that it does not have', 0x143, 'keystore_tpm_unsuitable'],
    ['a curve that it does not have', 0x2a6, 'keystore_tpm_unsuitable'],
    ['no room', 0x902, 'keystore_tpm_failed'],
    ['a code that nobody knows', 0xfff, 'keystore_tpm_failed'],
  ])('%s', async (_, responseCode, reason) => {
    const { result, transport } = await use(primary, onPrimary(responseCode));
    const code = `0x${responseCode.toString(16).padStart(3, '0')}`;
    expect(result).toEqual({
      ok: false,
      reason,
      detail: `the TPM refused TPM2_CreatePrimary (TPM_RC ${code})`,
    });
    expect(transport.isClosed).toBe(true);
  });

  it('is not what it says while it is busy with itself', async () => {
    const busy = [0x922, 0x90a, 0x908];
    const { result, codes } = await use(primary, ({ code }) =>
      code === createPrimary ? (busy.shift() ?? answerOf(publicArea, handle)) : undefined,
    );
    expect(result).toMatchObject({ ok: true });
    expect(codes).toEqual([...Array(4).fill(createPrimary), flushContext]);
  });

  it('is an answer that is cut off, too', async () => {
    const { result } = await use(primary, onPrimary(Buffer.from('80000001', 'hex')));
    expect(result).toMatchObject({ ok: false, reason: 'keystore_tpm_failed' });
  });
});

describe('a key that the TPM does not take', () => {
  const use = (responseCode: number) => {
    const transport = new FakeTransport(({ code }) => {
      if (code === createPrimary) return answerOf(publicArea, handle);
      return code === load ? responseCode : undefined;
    });
    const blob = { publicArea, privatePart: publicArea };
    return useTpm(
      settings,
      (tpm) => loadUnderStorageKey(tpm, blob, 'FILE'),
      async () => transport,
    );
  };

  it.each([0x1df, 0x1d5, 0x2c4, 0x2c2, 0x2ca, 0x1da])(
    'is damaged, by response code %i',
    async (responseCode) => {
      expect(await use(responseCode)).toMatchObject({
        reason: 'key_damaged',
        detail: expect.stringContaining('FILE holds a key of another TPM'),
      });
    },
  );

  it('is not to blame when the TPM is locked or has no room', async () => {
    expect(await use(0x921)).toMatchObject({ reason: 'keystore_tpm_locked' });
    expect(await use(0x902)).toMatchObject({ reason: 'keystore_tpm_failed' });
  });
});

it('says why a TPM cannot be opened', async () => {
  const open = async () => {
    throw new TpmError('keystore_tpm_missing', 'there is no TPM');
  };
  expect(await useTpm(settings, primary, open)).toEqual({
    ok: false,
    reason: 'keystore_tpm_missing',
    detail: 'there is no TPM',
  });
});
