#!/usr/bin/env node
import { parseCommandLine, usage } from './command-line.ts';
import { EdgeServerError } from './edge-server-error.ts';
import { startEdgeServer } from './start-edge-server.ts';

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The program `countersign-edge-server`: exit code 0 after an orderly end, 1 when it could not start, 2 for usage. */

const fail = (message: string, code: number) => {
  process.stderr.write(`countersign-edge-server: ${message}\n`);
  process.exitCode = code;
};

const commandLine = parseCommandLine(process.argv.slice(2), process.env);
if (commandLine.action === 'help') process.stdout.write(usage);
else if (commandLine.action === 'refuse') fail(`${commandLine.message}\n\n${usage}`, 2);
else {
  // The databases that workerd creates are nobody else's business either.
  process.umask(0o077);
  // Listened to from the beginning: a start that is broken off must end what it has begun, too.
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  for (const signal of endingSignals) process.on(signal, () => ask());
  // Whoever read the log has gone: without one the server ends rather than run unseen.
  process.stdout.on('error', () => ask());
  try {
    const server = await startEdgeServer({
      log: (line) => process.stdout.write(`${line}\n`),
      logFormat: process.stdout.isTTY === true ? 'text' : 'json',
      ...commandLine.options,
    });
    await asked;
    await server.stop();
  } catch (error) {
    if (!(error instanceof EdgeServerError)) throw error;
    fail(error.message, error.failure === 'setting_invalid' ? 2 : 1);
  } finally {
    for (const signal of endingSignals) process.removeAllListeners(signal);
  }
}
