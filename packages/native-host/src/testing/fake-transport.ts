import type { TpmTransport } from '../keystore/tpm/tpm-transport.ts';

/** A command that arrived: its code, and its bytes. */
export type SentCommand = { readonly code: number; readonly bytes: Buffer };

/** What a TPM answers, as the bytes behind tag and size; or a response code alone. */
export type FakeAnswer = number | Buffer;

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** The answer to a command with sessions: a handle where it loads something, then the parameters behind their size. */
export function answerOf(parameters: Buffer, handle?: number): Buffer {
  const size = u32(parameters.length);
  const sessions = Buffer.from('0000010000', 'hex');
  return Buffer.concat([
    ...(handle === undefined ? [] : [u32(handle)]),
    size,
    parameters,
    sessions,
  ]);
}

/** A TPM that answers each command as a test says, by the command's code; all else with success and nothing. */
export class FakeTransport implements TpmTransport {
  readonly sent: SentCommand[] = [];
  isClosed = false;
  readonly #answers: (command: SentCommand) => FakeAnswer | undefined;

  constructor(answers: (command: SentCommand) => FakeAnswer | undefined) {
    this.#answers = answers;
  }

  async exchange(command: Uint8Array): Promise<Buffer> {
    const bytes = Buffer.from(command);
    const sent = { code: bytes.readUInt32BE(6), bytes };
    this.sent.push(sent);
    const answer = this.#answers(sent) ?? 0;
    const responseCode = typeof answer === 'number' ? answer : 0;
    const rest = typeof answer === 'number' ? Buffer.alloc(0) : answer;
    const tag = Buffer.from(responseCode === 0 ? '8002' : '8001', 'hex');
    return Buffer.concat([tag, u32(10 + rest.length), u32(responseCode), rest]);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
