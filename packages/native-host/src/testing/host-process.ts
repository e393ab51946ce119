import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type NativeAnswer, nativeAnswer } from '@countersign/protocol/native-messages';
import { encodeFrame } from '../framing/frame.ts';
import { FrameReader } from '../framing/frame-reader.ts';

export const hostProgram = fileURLToPath(new URL('../main.ts', import.meta.url));
export const origin = 'https://sso.example.com';
/** Of the right form; the brokers of tests take any. */
export const enrollmentToken = 'A'.repeat(43);

export type Ended = {
  readonly exitCode: number | null;
  readonly output: Buffer;
  readonly errors: string;
};

/**
 * The real program in processes of its own, over real pipes, with a configuration and a state folder of their own.
 */
export class HostProcess {
  readonly folder = mkdtempSync(join(tmpdir(), 'countersign-host-'));
  readonly configurationPath = join(this.folder, 'host.json');
  readonly stateDirectory = join(this.folder, 'state');
  readonly #running = new Set<ChildProcessWithoutNullStreams>();

  constructor() {
    this.configure({});
  }

  configure(changes: object): void {
    const configuration = {
      origins: [origin],
      state_directory: this.stateDirectory,
      hardware_id: { serial_number: 'ABC1234' },
      development: true,
      ...changes,
    };
    writeFileSync(this.configurationPath, JSON.stringify(configuration));
  }

  /** Ends what still runs and removes the folder. */
  remove(): void {
    for (const child of this.#running) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true });
  }

  /** Starts any program, with no environment but the given one. */
  start(
    program: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): ChildProcessWithoutNullStreams {
    const child = spawn(program, args, { cwd: this.folder, env });
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
    // A host that refuses to read on is part of what is tested.
    child.stdin.on('error', () => undefined);
    return child;
  }

  startNativeMessaging(): ChildProcessWithoutNullStreams {
    const args = [hostProgram, '--config', this.configurationPath, 'native-messaging'];
    return this.start(process.execPath, args);
  }

  /** Runs a command of `countersign` to its end. */
  async command(args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}) {
    const all = [hostProgram, ...args, '--config', this.configurationPath];
    const child = this.start(process.execPath, all, env);
    const ended = waitForEnd(child);
    child.stdin.end(input);
    const { exitCode, output, errors } = await ended;
    return { exitCode, output: output.toString(), errors };
  }

  async enroll(brokerUrl: string): Promise<void> {
    const { exitCode, errors } = await this.command(
      ['enroll', '--broker', brokerUrl],
      enrollmentToken,
    );
    if (exitCode !== 0) throw new Error(errors);
  }

  /** One conversation of a browser with the host, from beginning to end. */
  async converse(...input: Uint8Array[]) {
    const child = this.startNativeMessaging();
    const ended = waitForEnd(child);
    child.stdin.end(Buffer.concat(input));
    const { exitCode, output, errors } = await ended;
    return { exitCode, answers: readAnswers(output), errors };
  }
}

export async function waitForEnd(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  await once(child, 'close');
  return {
    exitCode: child.exitCode,
    output: Buffer.concat(output),
    errors: Buffer.concat(errors).toString(),
  };
}

/** Every answer in the output; throws when it holds anything but whole frames of valid answers. */
export function readAnswers(output: Uint8Array): NativeAnswer[] {
  const reader = new FrameReader(1024 * 1024);
  const answers = [...reader.read(output)].map((event) => {
    if (event.type !== 'message') throw new Error('the output is not a sequence of frames');
    return nativeAnswer.parse(JSON.parse(Buffer.from(event.message).toString()));
  });
  if (!reader.isBetweenFrames) throw new Error('the output ends in the middle of a frame');
  return answers;
}

const frameOf = (message: unknown) => encodeFrame(Buffer.from(JSON.stringify(message)));

export const statusFrame = (id: string) => frameOf({ version: 1, id, type: 'status' });

export const attestFrame = (challenge: string, id = 'a') =>
  frameOf({ version: 1, id, type: 'attest', challenge, origin });
