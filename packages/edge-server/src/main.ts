#!/usr/bin/env node
import { cloudflareSecrets } from './cloudflare-secrets.ts';
import { type CommandLine, parseCommandLine, usage } from './command-line.ts';
import { EdgeServerError } from './edge-server-error.ts';
import type { EdgeServerOptions } from './edge-server-options.ts';
import { rotateCloudflareKeys, rotateKeys } from './rotation/rotate-keys-command.ts';
import { startEdgeServer } from './start-edge-server.ts';
import { isStateCommand, type StateCommandName } from './state/state-usage.ts';

/** The program `countersign-server`: exit code 0 after an orderly end, 1 when it could not start, 2 for usage. */

type RotateKeys = Extract<CommandLine, { action: 'rotate_keys' }>;

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

/** @param take is called only when they do not go to a terminal */
async function printSecrets(
  take: () => Promise<Readonly<Record<string, string | null>>>,
): Promise<void> {
  if (process.stdout.isTTY === true) {
    fail('these are private keys: pass them on, as in … | wrangler secret bulk', 2);
    return;
  }
  process.stdout.write(`${JSON.stringify(await take(), undefined, 2)}\n`);
}

async function rotate({ options, request, forCloudflare }: RotateKeys): Promise<void> {
  if (!forCloudflare) {
    process.stdout.write(`${await rotateKeys(options, request, Date.now())}\n`);
    return;
  }
  await printSecrets(async () => {
    const { secrets, report } = await rotateCloudflareKeys(options, request, Date.now());
    process.stderr.write(`${report}\n`);
    return secrets;
  });
}

async function run(
  commandLine: Exclude<CommandLine, { action: 'help' | 'refuse' }>,
): Promise<void> {
  switch (commandLine.action) {
    case 'serve':
      return await serve(commandLine.options);
    case 'print_cloudflare_secrets':
      return await printSecrets(() => cloudflareSecrets(commandLine.options, Date.now()));
    case 'rotate_keys':
      return await rotate(commandLine);
  }
}

/** `export`, `import` and `confirm-restore`: print what they have to say, and end. */
async function runCommand(name: StateCommandName, args: readonly string[]): Promise<void> {
  // Loaded only when it is wanted: a start takes no longer for it.
  const { runStateCommand } = await import('./state/state-commands.ts');
  const { done, lines } = await runStateCommand(name, args, process.env);
  (done ? process.stdout : process.stderr).write(`${lines.join('\n')}\n`);
  if (!done) process.exitCode = 1;
}

/** `issuer …`. */
async function runIssuers(args: readonly string[]): Promise<void> {
  const { runIssuerCommand } = await import('./issuers/issuer-command.ts');
  const outcome = await runIssuerCommand(args, process.env, Date.now());
  if ('secrets' in outcome) await printSecrets(outcome.secrets);
  else process.stdout.write(`${outcome.lines.join('\n')}\n`);
}

/** What a data folder and a file of its keys hold is nobody else's business. */
async function withFailures(work: () => Promise<void>): Promise<void> {
  process.umask(0o077);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof EdgeServerError)) throw error;
    fail(`${error.failure}: ${error.message}`, error.failure === 'setting_invalid' ? 2 : 1);
  }
}

const [command, ...commandArguments] = process.argv.slice(2);
if (isStateCommand(command)) await withFailures(() => runCommand(command, commandArguments));
else if (command === 'issuer') await withFailures(() => runIssuers(commandArguments));
else {
  const commandLine = parseCommandLine(process.argv.slice(2), process.env);
  if (commandLine.action === 'help') process.stdout.write(usage);
  else if (commandLine.action === 'refuse') fail(`${commandLine.message}\n\n${usage}`, 2);
  else await withFailures(() => run(commandLine));
}
