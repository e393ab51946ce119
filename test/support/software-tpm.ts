import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { findFreePort } from './free-port.ts';

/** A maker of software TPMs, with an authority of its own that certifies their endorsement keys: swtpm's. */
export class TpmMaker {
  readonly folder = mkdtempSync(join(tmpdir(), 'countersign-tpm-'));
  readonly #tpms: SoftwareTpm[] = [];
  #made = 0;

  constructor() {
    const authority = join(this.folder, 'authority');
    mkdirSync(authority);
    const options = [
      `statedir = ${authority}`,
      `signingkey = ${join(authority, 'signkey.pem')}`,
      `issuercert = ${join(authority, 'issuercert.pem')}`,
      `certserial = ${join(authority, 'certserial')}`,
    ];
    writeFileSync(join(this.folder, 'localca.conf'), `${options.join('\n')}\n`);
    writeFileSync(join(this.folder, 'localca.options'), '');
    const tool = [
      'create_certs_tool = /usr/bin/swtpm_localca',
      `create_certs_tool_config = ${join(this.folder, 'localca.conf')}`,
      `create_certs_tool_options = ${join(this.folder, 'localca.options')}`,
    ];
    writeFileSync(join(this.folder, 'setup.conf'), `${tool.join('\n')}\n`);
  }

  /** A TPM with endorsement keys and their certificates, running. */
  async make(): Promise<SoftwareTpm> {
    this.#made += 1;
    const state = join(this.folder, `tpm-${this.#made}`);
    mkdirSync(state);
    const args = ['--tpm2', '--tpmstate', state, '--config', join(this.folder, 'setup.conf')];
    execFileSync('swtpm_setup', [...args, '--create-ek-cert', '--pcr-banks', 'sha256'], {
      timeout: 60_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const tpm = await SoftwareTpm.start(state);
    this.#tpms.push(tpm);
    return tpm;
  }

  /** PEM of the authority that certifies endorsement keys, and of the root above it. */
  get issuerPem(): string {
    return this.#certificate('issuercert.pem');
  }
  get rootPem(): string {
    return this.#certificate('swtpm-localca-rootca-cert.pem');
  }

  #certificate(name: string): string {
    const text = readFileSync(join(this.folder, 'authority', name), 'utf8');
    const [pem] = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n/.exec(text) ?? [];
    if (pem === undefined) throw new Error(`${name} holds no certificate`);
    return pem;
  }

  async remove(): Promise<void> {
    for (const tpm of this.#tpms) await tpm.stop();
    rmSync(this.folder, { recursive: true });
  }
}

/** A TPM 2.0 in software, for tests alone. It serves one connection at a time and has no resource manager. */
export class SoftwareTpm {
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#process = child;
  }

  static async start(stateFolder: string): Promise<SoftwareTpm> {
    // tpm2-tools expects the control channel at the next port.
    const port = await findFreePort();
    const at = (number: number) => `type=tcp,port=${number},bindaddr=127.0.0.1`;
    const child = spawn(
      'swtpm',
      [
        ...['socket', '--tpm2', '--tpmstate', `dir=${stateFolder}`],
        ...['--server', at(port), '--ctrl', at(port + 1)],
        ...['--flags', 'not-need-init,startup-clear'],
      ],
      { stdio: 'ignore' },
    );
    const tpm = new SoftwareTpm(port, child);
    for (let attempt = 0; !(await answersAt(port)); attempt++) {
      if (attempt === 100 || child.exitCode !== null) {
        await tpm.stop();
        throw new Error('swtpm did not start');
      }
      await wait(50);
    }
    return tpm;
  }

  /** The host's configuration for it. */
  get keystore() {
    return { kind: 'tpm', simulator_port: this.port } as const;
  }

  /** Another program that speaks to TPMs, from tpm2-tools; gives its output. */
  tool(program: string, args: readonly string[], folder: string): Buffer {
    return execFileSync(program, args, {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        TPM2TOOLS_TCTI: `swtpm:host=127.0.0.1,port=${this.port}`,
        TSS2_LOG: 'all+NONE',
      },
      timeout: 20_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

function answersAt(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
