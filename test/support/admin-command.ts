import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commands } from '@countersign/admin-cli/commands';
import { runProgram } from '@countersign/admin-cli/run-program';
import type * as z from 'zod/mini';

/** An administrator at a terminal: `countersign-admin`, a token, and a folder with files. */
export class AdminDesk {
  readonly path = mkdtempSync(join(tmpdir(), 'countersign-desk-'));
  readonly #environment: Readonly<Record<string, string>>;

  constructor(brokerUrl: string, token: string) {
    this.#environment = { COUNTERSIGN_BROKER_URL: brokerUrl, COUNTERSIGN_ADMIN_TOKEN: token };
  }

  file(name: string): string {
    return join(this.path, name);
  }

  write(name: string, content: string | object): string {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    writeFileSync(this.file(name), text, { mode: 0o600 });
    return this.file(name);
  }

  read(name: string): string {
    return readFileSync(this.file(name), 'utf8');
  }

  async run(...args: readonly string[]) {
    const told = { output: '', errors: '' };
    const code = await runProgram(commands, args, {
      environment: this.#environment,
      out: (text) => {
        told.output += text;
      },
      error: (text) => {
        told.errors += text;
      },
      isTerminal: false,
      nowMs: Date.now,
      sleep: (ms) => new Promise((later) => setTimeout(later, ms)),
    });
    return { code, ...told };
  }

  /** What a command prints that does what it should. */
  async done(...args: readonly string[]): Promise<string> {
    const { code, output, errors } = await this.run(...args);
    if (code !== 0) throw new Error(`${args.join(' ')}: ${code}\n${errors}${output}`);
    return output;
  }

  async answer<Schema extends z.ZodMiniType>(
    schema: Schema,
    ...args: readonly string[]
  ): Promise<z.infer<Schema>> {
    return schema.parse(JSON.parse(await this.done(...args, '--json')));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
