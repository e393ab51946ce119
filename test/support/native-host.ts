import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeLauncher } from '@countersign/native-host';
import { type NativeAnswer, nativeAnswer } from '@countersign/protocol/native-messages';
import { builtProgram } from './built-program.ts';
import type { TestBroker } from './test-broker.ts';

export type Ended = {
  readonly exitCode: number | null;
  readonly output: Buffer;
  readonly errors: string;
};

type RunOptions = {
  readonly input?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
  /** What the program takes for the time, relative to the true one, such as `+9m`; libfaketime's notation. */
  readonly clock?: string;
  /** A program that starts it and looks on, with its arguments. */
  readonly watchedBy?: readonly string[];
  readonly onStarted?: (child: ChildProcessWithoutNullStreams) => void;
};

/** A 32-bit length in the machine's byte order, written here from the browsers' documentation. */
export function frameHeader(length: number): Buffer {
  const header = Buffer.alloc(4);
  if (endianness() === 'LE') header.writeUInt32LE(length);
  else header.writeUInt32BE(length);
  return header;
}

export function frame(message: unknown): Buffer {
  const bytes = message instanceof Uint8Array ? message : Buffer.from(JSON.stringify(message));
  return Buffer.concat([frameHeader(bytes.length), bytes]);
}

/** All frames of an output; throws when anything else is in it. */
export function readFrames(output: Buffer): NativeAnswer[] {
  const answers: NativeAnswer[] = [];
  let rest = output;
  while (rest.length > 0) {
    const length = endianness() === 'LE' ? rest.readUInt32LE() : rest.readUInt32BE();
    if (rest.length < 4 + length) throw new Error('the output ends in the middle of a frame');
    answers.push(nativeAnswer.parse(JSON.parse(rest.subarray(4, 4 + length).toString())));
    rest = rest.subarray(4 + length);
  }
  return answers;
}

/** The `countersign` program as it is shipped, with a configuration and a state folder of its own. */
export class NativeHost {
  readonly folder = mkdtempSync(join(tmpdir(), 'countersign-native-'));
  readonly configurationPath = join(this.folder, 'host.json');
  readonly stateDirectory = join(this.folder, 'state');
  readonly hardwareId: { readonly serial_number: string };
  readonly #program: string;
  readonly #running = new Set<ChildProcessWithoutNullStreams>();

  private constructor(program: string, hardwareId: { readonly serial_number: string }) {
    this.#program = program;
    this.hardwareId = hardwareId;
  }

  static async install(
    configuration: Readonly<Record<string, unknown>> = {},
    hardwareId = { serial_number: `HOST${crypto.randomUUID()}` },
  ): Promise<NativeHost> {
    const host = new NativeHost(await builtProgram('native-host'), hardwareId);
    host.configure(configuration);
    return host;
  }

  configure(changes: Readonly<Record<string, unknown>>): void {
    const configuration = {
      origins: ['https://sso.example.com'],
      state_directory: this.stateDirectory,
      hardware_id: this.hardwareId,
      development: true,
      ...changes,
    };
    writeFileSync(this.configurationPath, JSON.stringify(configuration));
  }

  /** Ends what still runs and removes everything. */
  remove(): void {
    for (const child of this.#running) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true });
  }

  start(
    args: readonly string[],
    options: Pick<RunOptions, 'environment' | 'clock' | 'watchedBy'> = {},
  ): ChildProcessWithoutNullStreams {
    const { clock, watchedBy = [] } = options;
    const [program = '', ...rest] = [
      ...watchedBy,
      ...(clock === undefined ? [] : ['faketime', '-f', clock]),
      process.execPath,
      this.#program,
      ...args,
    ];
    const child = spawn(program, rest, {
      cwd: this.folder,
      env: { PATH: process.env.PATH ?? '', ...options.environment },
    });
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
    // A host that reads no further is part of what is tested.
    child.stdin.on('error', () => undefined);
    return child;
  }

  async run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const child = this.start(args, options);
    options.onStarted?.(child);
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.stdin.end(options.input ?? '');
    await once(child, 'close');
    return {
      exitCode: child.exitCode,
      output: Buffer.concat(output),
      errors: Buffer.concat(errors).toString(),
    };
  }

  /** Makes what a host manifest names, as an installation does; gives its path. */
  writeLauncher(): string {
    const launcher = join(this.folder, 'launcher');
    writeLauncher(launcher, {
      nodePath: process.execPath,
      programPath: this.#program,
      configurationPath: this.configurationPath,
    });
    return launcher;
  }

  /** Runs a command with this host's configuration. */
  command(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.run([...args, '--config', this.configurationPath], options);
  }

  /** Enrols with a fresh token. */
  async enroll(broker: TestBroker): Promise<void> {
    const { enrollment_token } = await broker.client.createEnrollmentToken(this.hardwareId);
    const args = ['enroll', '--broker', broker.url];
    const { exitCode, errors } = await this.command(args, { input: enrollment_token });
    if (exitCode !== 0 || errors !== '') throw new Error(`code ${exitCode}: ${errors}`);
  }

  /** One conversation of a browser with the host, from beginning to end. */
  async converse(input: Uint8Array, options: Omit<RunOptions, 'input'> = {}) {
    const args = ['--config', this.configurationPath, 'native-messaging'];
    const { exitCode, output, errors } = await this.run(args, { ...options, input });
    return { exitCode, errors, answers: readFrames(output) };
  }

  /** The answer to one `attest` message. */
  async attest(challenge: string, origin: string, options: Omit<RunOptions, 'input'> = {}) {
    const message = { version: 1, id: '1', type: 'attest', challenge, origin };
    const { answers, exitCode, errors } = await this.converse(frame(message), options);
    const [answer] = answers;
    if (answer === undefined || answers.length !== 1) {
      throw new Error(`${answers.length} answers to one message; code ${exitCode}: ${errors}`);
    }
    return answer;
  }

  /** Every file of the state folder, as text, by name. */
  stateFiles(): Record<string, string> {
    const names = readdirSync(this.stateDirectory);
    return Object.fromEntries(
      names.map((name) => [name, readFileSync(join(this.stateDirectory, name), 'latin1')]),
    );
  }
}
