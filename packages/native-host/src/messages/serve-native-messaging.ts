import { maxNativeRequestBytes } from '@countersign/protocol/limits';
import type { NativeAnswer } from '@countersign/protocol/native-messages';
import { encodeFrame } from '../framing/frame.ts';
import { FrameReader } from '../framing/frame-reader.ts';
import { errorAnswer } from './answer-message.ts';

export type NativeMessagingStreams = {
  /** What the browser writes, in pieces of any size. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Resolves when the frame has been handed on. */
  readonly write: (frame: Uint8Array) => Promise<void>;
};

export type ConversationEnd =
  /** The browser closed the port between two messages. */
  | 'closed'
  /** The browser closed the port in the middle of a message. */
  | 'cut'
  /** A frame announced an impossible length, was answered so, and nothing after it can be read. */
  | 'refused';

/** Answers messages one after another, in order, until the input ends. */
export async function serveNativeMessaging(
  streams: NativeMessagingStreams,
  answer: (message: Uint8Array) => Promise<NativeAnswer>,
): Promise<ConversationEnd> {
  const reader = new FrameReader(maxNativeRequestBytes);
  const send = (message: NativeAnswer) =>
    streams.write(encodeFrame(Buffer.from(JSON.stringify(message))));
  for await (const chunk of streams.input) {
    for (const event of reader.read(chunk)) {
      if (event.type === 'refused') {
        const detail = `a frame of ${event.announcedBytes} bytes; 1 to ${maxNativeRequestBytes} are possible`;
        await send(errorAnswer('', 'message_too_large', detail));
        return 'refused';
      }
      await send(await answer(event.message));
    }
  }
  return reader.isBetweenFrames ? 'closed' : 'cut';
}
