#!/usr/bin/env node
import { setTimeout as sleep } from 'node:timers/promises';
import { runProgram } from './command-line/run.ts';
import { commands } from './commands/index.ts';

/** The program `countersign-admin`. */

// What it writes holds secrets and names of users.
process.umask(0o077);
// Whoever reads it may have seen enough, as `head` has.
process.stdout.on('error', () => process.exit());
process.exitCode = await runProgram(commands, process.argv.slice(2), {
  environment: process.env,
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  isTerminal: process.stdout.isTTY === true,
  nowMs: Date.now,
  sleep: (ms) => sleep(ms),
});
