import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where Debian and its relatives put SoftHSM's PKCS#11 module. */
export const softHsmModule = '/usr/lib/softhsm/libsofthsm2.so';

const securityOfficerPin = 'so-87654321';

/** A token of SoftHSM2 in a folder of its own: software that behaves like a token, for tests alone. */
export class SoftToken {
  readonly label = 'Device keys';
  pin = '4711-secret';
  readonly folder = mkdtempSync(join(tmpdir(), 'countersign-token-'));
  readonly #pinFolder = join(this.folder, 'private');
  readonly pinFile = join(this.#pinFolder, 'pin');
  readonly #configuration = join(this.folder, 'softhsm2.conf');

  constructor() {
    const tokens = join(this.folder, 'tokens');
    mkdirSync(tokens);
    mkdirSync(this.#pinFolder, { mode: 0o700 });
    writeFileSync(
      this.#configuration,
      `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`,
    );
    this.writePin();
    this.initialize(this.label);
  }

  /** What a process needs in its environment to find the token. */
  get environment(): Readonly<Record<string, string>> {
    return { SOFTHSM2_CONF: this.#configuration };
  }

  /** The host's configuration for it. */
  get keystore() {
    return {
      kind: 'pkcs11',
      module: softHsmModule,
      token_label: this.label,
      pin_file: this.pinFile,
    } as const;
  }

  writePin(pin = this.pin): void {
    writeFileSync(this.pinFile, `${pin}\n`, { mode: 0o600 });
  }

  /** One more token in the same folder. */
  initialize(label: string): void {
    const pins = ['--so-pin', securityOfficerPin, '--pin', this.pin];
    this.#run('softhsm2-util', ['--init-token', '--free', '--label', label, ...pins]);
  }

  /** The file with the PIN stays as it is. */
  changePin(pin: string): void {
    this.tool('--change-pin', '--new-pin', pin);
    this.pin = pin;
  }

  /** OpenSC's tool, logged in: another program that speaks PKCS#11. */
  tool(...args: readonly string[]): Buffer {
    const login = ['--token-label', this.label, '--login', '--pin', this.pin];
    return this.#run('pkcs11-tool', ['--module', softHsmModule, ...login, ...args]);
  }

  #run(program: string, args: readonly string[]): Buffer {
    return execFileSync(program, args, {
      env: { PATH: process.env.PATH, ...this.environment },
      timeout: 20_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
