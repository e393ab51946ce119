import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtProgram } from './built-program.ts';

const program = fileURLToPath(new URL('../../packages/edge-server/src/main.ts', import.meta.url));

export type CommandResult = {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
};

/** Runs a command of the edge server as an administrator does. */
export async function runServerCommand(...args: readonly string[]): Promise<CommandResult> {
  const worker = await builtProgram('worker');
  const child = spawn(process.execPath, [program, ...args, '--worker', worker], {
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
    });
  }
  const [code]: (number | null)[] = await once(child, 'close');
  return { code: code ?? null, output: texts.stdout, errors: texts.stderr };
}

/** A folder for exports and for what is imported from them, with a passphrase in it. */
export class BackupFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'countersign-backup-'));
  readonly passphraseFile = this.file('passphrase');

  constructor() {
    writeFileSync(this.passphraseFile, 'correct horse battery staple\n', { mode: 0o600 });
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** @throws when the export fails, with what it said */
  async export(dataDirectory: string, name = 'export.jsonl'): Promise<string> {
    const output = this.file(name);
    const result = await runServerCommand(
      ...['export', '--data', dataDirectory, '--output', output],
      ...['--passphrase-file', this.passphraseFile],
    );
    if (result.code !== 0) throw new Error(result.errors);
    return output;
  }

  /** Into `<name>` of this folder. */
  async import(input: string, name: string, ...more: readonly string[]): Promise<CommandResult> {
    return await runServerCommand(
      ...['import', '--data', this.file(name), '--input', input],
      ...['--passphrase-file', this.passphraseFile, ...more],
    );
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
