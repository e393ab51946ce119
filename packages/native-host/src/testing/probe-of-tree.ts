import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { machineProbe, type PostureProbe, type ProgramResult } from '../posture/posture-probe.ts';

export type Tree = {
  readonly files?: Readonly<Record<string, string>>;
  /** Relative targets, as sysfs has them. */
  readonly links?: Readonly<Record<string, string>>;
  readonly folders?: readonly string[];
};

/** A program's standard output, or all that it ended with; by its path and arguments, with spaces between. */
export type Programs = Readonly<Record<string, string | Partial<ProgramResult>>>;

/** Files of another machine, in a folder of its own; the caller removes it. */
export class PlantedMachine {
  readonly #root = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-machine-')));
  readonly programsRun: string[] = [];

  constructor({ files = {}, links = {}, folders = [] }: Tree) {
    for (const path of folders) mkdirSync(join(this.#root, path), { recursive: true });
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.#root, path)), { recursive: true });
      writeFileSync(join(this.#root, path), text);
    }
    for (const [path, target] of Object.entries(links)) {
      mkdirSync(dirname(join(this.#root, path)), { recursive: true });
      symlinkSync(target, join(this.#root, path));
    }
  }

  probe(programs: Programs = {}, change: Partial<PostureProbe> = {}): PostureProbe {
    return {
      ...machineProbe(this.#root),
      platform: 'linux',
      homeDirectory: '/home/ada',
      userId: 1000,
      run: async (path, programArguments) => {
        const command = [path, ...programArguments].join(' ');
        this.programsRun.push(command);
        const found = programs[command];
        if (found === undefined) return undefined;
        const result = typeof found === 'string' ? { output: found } : found;
        return { exitCode: 0, output: '', errors: '', ...result };
      },
      ...change,
    };
  }

  remove(): void {
    rmSync(this.#root, { recursive: true });
  }
}
