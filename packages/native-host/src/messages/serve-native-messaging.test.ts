import { maxNativeRequestBytes } from '@countersign/protocol/limits';
import type { NativeAnswer } from '@countersign/protocol/native-messages';
import { describe, expect, it } from 'vitest';
import { encodeFrame } from '../framing/frame.ts';
import { FrameReader } from '../framing/frame-reader.ts';
import { errorAnswer } from './answer-message.ts';
import { serveNativeMessaging } from './serve-native-messaging.ts';

const frameOf = (text: string) => encodeFrame(Buffer.from(text));

async function* pieces(...chunks: Uint8Array[]) {
  for (const chunk of chunks) yield chunk;
}

/** Serves; answers say what was asked. */
async function serve(...chunks: Uint8Array[]) {
  const written: Uint8Array[] = [];
  const asked: string[] = [];
  const end = await serveNativeMessaging(
    {
      input: pieces(...chunks),
      write: async (frame) => {
        written.push(frame);
      },
    },
    async (message): Promise<NativeAnswer> => {
      const text = Buffer.from(message).toString();
      asked.push(text);
      return errorAnswer(text, 'not_enrolled', '');
    },
  );
  const answers = written.flatMap((frame) =>
    [...new FrameReader(1024 * 1024).read(frame)].map((event) =>
      event.type === 'message' ? JSON.parse(Buffer.from(event.message).toString()) : event,
    ),
  );
  return { end, asked, answers };
}

describe('a conversation', () => {
  it('answers in order, however the messages arrive', async () => {
    const stream = Buffer.concat(['a', 'b', 'c'].map(frameOf));
    const { end, answers } = await serve(stream.subarray(0, 6), stream.subarray(6));
    expect(end).toBe('closed');
    expect(answers.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  });

  it('is closed when nothing was ever said', async () => {
    expect(await serve()).toEqual({ end: 'closed', asked: [], answers: [] });
  });

  it.each([2, 4, 5])('is cut when the input ends after %d bytes of a frame', async (bytes) => {
    const { end, answers } = await serve(
      Buffer.concat([frameOf('a'), frameOf('bcd').subarray(0, bytes)]),
    );
    expect(end).toBe('cut');
    expect(answers.map(({ id }) => id)).toEqual(['a']);
  });

  it.each([0, maxNativeRequestBytes + 1, 0xffff_ffff])(
    'is refused at an announced length of %d, once, after what came before was answered',
    async (length) => {
      const header = new Uint8Array(new Uint32Array([length]).buffer);
      const { end, asked, answers } = await serve(
        Buffer.concat([frameOf('a'), header, frameOf('b')]),
        frameOf('c'),
      );
      expect(end).toBe('refused');
      expect(asked).toEqual(['a']);
      expect(answers).toMatchObject([
        { id: 'a' },
        {
          id: '',
          type: 'error',
          code: 'message_too_large',
          detail: expect.stringContaining(`${length}`),
        },
      ]);
    },
  );
});
