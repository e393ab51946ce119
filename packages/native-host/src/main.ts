import { parseCommandLine } from './commands/parse-command-line.ts';
import { runNativeMessaging } from './run-native-messaging.ts';

/**
 * The `countersign` command. A browser waits for native messaging to answer, so only that path is loaded at once; the
 * other commands load what they need.
 */
async function main(programArguments: readonly string[]): Promise<number> {
  const invocation = parseCommandLine(programArguments);
  if (invocation.ok && invocation.value.command === 'native-messaging') {
    return runNativeMessaging(invocation.value.configurationPath);
  }
  const { runCommand } = await import('./commands/run-command.ts');
  return runCommand(invocation);
}

main(process.argv.slice(2)).then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    // A browser that closed the port while it was answered wants no answer any more.
    if (error instanceof Error && 'code' in error && error.code === 'EPIPE') process.exit(0);
    process.stderr.write(
      `countersign: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exit(1);
  },
);
