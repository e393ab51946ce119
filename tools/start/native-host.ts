import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { encodeFrame, FrameReader } from '@countersign/native-host';
import {
  hostStatus,
  type NativeAnswer,
  nativeAnswer,
  nativeMessageVersion,
} from '@countersign/protocol/native-messages';
import { parseFields } from '@countersign/protocol/schemas';
import { StepError } from './report.ts';

/** The built `countersign` program, run as its users run it: commands in a process, a browser's messages over frames. */

const timeoutMs = 20_000;
/** The maximum that browsers accept from a host. */
const maxAnswerBytes = 1024 * 1024;

export type NativeHost = { readonly program: string; readonly configurationPath: string };

const run = promisify(execFile);

async function runCommand(
  host: NativeHost,
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const args = [host.program, ...command, '--config', host.configurationPath];
  try {
    const env = { PATH: process.env.PATH, ...environment };
    const { stdout } = await run(process.execPath, args, { env, timeout: timeoutMs });
    return stdout;
  } catch (error) {
    const { stderr }: { stderr?: unknown } = Object(error);
    const said = typeof stderr === 'string' && stderr.trim() !== '' ? stderr.trim() : String(error);
    throw new StepError(
      `countersign ${command[0]}: ${said.split('\n')[0]}`,
      said.split('\n')[1] ?? `Run it yourself: countersign ${command.join(' ')}`,
      { cause: error },
    );
  }
}

/** `countersign status --json`. */
export async function readStatus(host: NativeHost) {
  const status = parseFields(hostStatus, JSON.parse(await runCommand(host, ['status', '--json'])));
  if (status.ok) return status.value;
  throw new StepError(
    `countersign status: "${status.field}" ${status.detail}`,
    'Build everything again: remove the folder dist and start again.',
  );
}

/** `countersign enroll`; the token goes by the environment, never by the command line. */
export async function enroll(
  host: NativeHost,
  brokerUrl: string,
  enrollmentToken: string,
): Promise<void> {
  await runCommand(host, ['enroll', '--broker', brokerUrl], {
    COUNTERSIGN_ENROLLMENT_TOKEN: enrollmentToken,
  });
}

/** Starts the host as a browser does, sends one message and takes the one answer. */
export async function attestWithHost(
  host: NativeHost,
  challenge: string,
  origin: string,
): Promise<NativeAnswer> {
  const args = [host.program, '--config', host.configurationPath, 'native-messaging'];
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH },
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: timeoutMs,
  });
  const ended = once(child, 'close');
  child.stdin.on('error', () => undefined);
  const message = { version: nativeMessageVersion, id: 'demo', type: 'attest', challenge, origin };
  child.stdin.end(encodeFrame(new TextEncoder().encode(JSON.stringify(message))));
  const reader = new FrameReader(maxAnswerBytes);
  const answers: unknown[] = [];
  for await (const chunk of child.stdout) {
    for (const event of reader.read(chunk)) {
      if (event.type === 'message') {
        answers.push(JSON.parse(new TextDecoder().decode(event.message)));
      }
    }
  }
  await ended;
  const answer = parseFields(nativeAnswer, answers[0]);
  if (answer.ok) return answer.value;
  throw new StepError(
    'native host: it ended without an answer',
    `Run it yourself: node ${args.join(' ')}`,
  );
}
