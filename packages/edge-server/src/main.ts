#!/usr/bin/env node
import { cloudflareSecrets } from './cloudflare-secrets.ts';
import { parseCommandLine, usage } from './command-line.ts';
import { EdgeServerError } from './edge-server-error.ts';
import type { EdgeServerOptions } from './edge-server-options.ts';
import { startEdgeServer } from './start-edge-server.ts';

/** The program `countersign-server`: exit code 0 after an orderly end, 1 when it could not start, 2 for usage. */

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function fail(message: string, code: number): void {
  process.stderr.write(`countersign-server: ${message}\n`);
  process.exitCode = code;
}

/** Serves until it is told to end. */
async function serve(options: EdgeServerOptions): Promise<void> {
  // Listened to from the beginning: a start that is broken off must end what it has begun, too.
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  for (const signal of endingSignals) process.on(signal, () => ask());
  // Whoever read the log has gone: without one the server ends rather than run unseen.
  process.stdout.on('error', () => ask());
  try {
    const server = await startEdgeServer({
      log: (line) => process.stdout.write(`${line}\n`),
      logFormat: process.stdout.isTTY === true ? 'text' : 'json',
      ...options,
    });
    await asked;
    await server.stop();
  } finally {
    for (const signal of endingSignals) process.removeAllListeners(signal);
  }
}

async function printCloudflareSecrets(options: EdgeServerOptions): Promise<void> {
  if (process.stdout.isTTY === true) {
    fail('these are private keys: pass them on, as in … | wrangler secret bulk', 2);
    return;
  }
  const secrets = await cloudflareSecrets(options, Date.now());
  process.stdout.write(`${JSON.stringify(secrets, undefined, 2)}\n`);
}

const commandLine = parseCommandLine(process.argv.slice(2), process.env);
if (commandLine.action === 'help') process.stdout.write(usage);
else if (commandLine.action === 'refuse') fail(`${commandLine.message}\n\n${usage}`, 2);
else {
  // The databases that workerd creates are nobody else's business either.
  process.umask(0o077);
  const run = commandLine.action === 'serve' ? serve : printCloudflareSecrets;
  try {
    await run(commandLine.options);
  } catch (error) {
    if (!(error instanceof EdgeServerError)) throw error;
    fail(error.message, error.failure === 'setting_invalid' ? 2 : 1);
  }
}
