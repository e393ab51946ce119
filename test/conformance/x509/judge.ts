import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Verdict {
  readonly accepted: boolean;
  /** Standard output and error together: what a judge says about a refusal differs by version. */
  readonly text: string;
}

export type JudgingProgram = 'openssl' | 'certtool' | 'ocsptool' | 'pki';

/** Files for programs that read files, and the programs themselves, run to their end in that folder. */
export class Judge {
  readonly folder = mkdtempSync(join(tmpdir(), 'countersign-judge-'));

  write(name: string, content: string | Uint8Array): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  read(name: string): Uint8Array {
    return readFileSync(join(this.folder, name));
  }

  ask(program: JudgingProgram, ...args: readonly string[]): Verdict {
    const { status, stdout, stderr, error } = spawnSync(program, [...args], {
      cwd: this.folder,
      encoding: 'utf8',
      timeout: 30_000,
    });
    if (error !== undefined) throw error;
    return { accepted: status === 0, text: stdout + stderr };
  }

  /** The same for a program that asks a server which may run in this process. */
  askOnline(program: JudgingProgram, ...args: readonly string[]): Promise<Verdict> {
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    execFile(program, [...args], { cwd: this.folder, timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ accepted: error === null, text: stdout + stderr }),
    );
    return promise;
  }

  /** What the program prints, which must accept. */
  tell(program: JudgingProgram, ...args: readonly string[]): string {
    const { accepted, text } = this.ask(program, ...args);
    if (!accepted) throw new Error(`${program} ${args.join(' ')}\n${text}`);
    return text;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
