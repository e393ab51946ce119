import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTlsAuthority } from './browser/tls-authority.ts';

/** rsyslog as a receiver of syslog over TLS, on an address of this machine. */
export type RunningRsyslog = {
  readonly port: number;
  /** PEM file of the authority that it is known by. */
  readonly authoritiesFile: string;
  /** Messages as they came, oldest first. */
  readonly messages: () => readonly string[];
  /** Ends it at once, as a crash would. */
  readonly kill: () => Promise<void>;
  /** Starts it again on the same port, with the same file. */
  readonly startAgain: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

const configurationOf = (folder: string, port: number) => `
global(
  workDirectory="${folder}"
  maxMessageSize="16k"
  DefaultNetstreamDriver="ossl"
  DefaultNetstreamDriverCAFile="${folder}/ca.pem"
  DefaultNetstreamDriverCertFile="${folder}/certificate.pem"
  DefaultNetstreamDriverKeyFile="${folder}/key.pem"
)
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="received") { action(type="omfile" file="${folder}/received.log" template="raw") }
input(type="imtcp" port="${port}" address="127.0.0.1" ruleset="received")
`;

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

export async function startRsyslog(port: number): Promise<RunningRsyslog> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-rsyslog-'));
  const authority = await createTlsAuthority(new Date());
  const { key, cert } = await authority.issue(['localhost']);
  const authoritiesFile = join(folder, 'ca.pem');
  writeFileSync(authoritiesFile, authority.certificatePem);
  writeFileSync(join(folder, 'certificate.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 });
  writeFileSync(join(folder, 'rsyslog.conf'), configurationOf(folder, port));

  const start = async () => {
    const args = ['-n', '-f', join(folder, 'rsyslog.conf'), '-i', join(folder, 'rsyslog.pid')];
    const child = spawn('/usr/sbin/rsyslogd', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => said.push(text));
    }
    const closed = once(child, 'close');
    const deadline = performance.now() + 10_000;
    while (!(await isListening(port))) {
      if (child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`rsyslogd does not listen: ${said.join('')}`);
      }
      await sleep(50);
    }
    return async (signal: NodeJS.Signals) => {
      child.kill(signal);
      await closed;
    };
  };

  let end = await start();
  return {
    port,
    authoritiesFile,
    messages() {
      try {
        return readFileSync(join(folder, 'received.log'), 'utf8').trimEnd().split('\n');
      } catch {
        return [];
      }
    },
    kill: () => end('SIGKILL'),
    async startAgain() {
      rmSync(join(folder, 'rsyslog.pid'), { force: true });
      end = await start();
    },
    async stop() {
      await end('SIGTERM');
      rmSync(folder, { recursive: true });
    },
  };
}
