// `npm start`: builds, starts the broker and a sample sign-in site on this machine, enrols a demo device and shows one
// sign-in step by step. Then it stays until Ctrl-C.
import { readDemoSettings, UsageError, usageOf } from './start/demo-settings.ts';
import { createReport, reportFailure } from './start/report.ts';
import { runDemo } from './start/run-demo.ts';
import { type Started, stopAll } from './start/start-sample.ts';

const keptLines = 12;
const defaults = { command: 'npm start --', dataDirectory: '.countersign' };

async function main(): Promise<number> {
  const settings = readDemoSettings(process.argv.slice(2), process.env, defaults);
  if (settings === undefined) {
    process.stdout.write(usageOf(defaults));
    return 0;
  }
  const report = createReport(process.stdout);
  // While steps are shown, the log is kept for the case that one fails; afterwards it is shown as it comes.
  const lines: string[] = [];
  let show = (line: string) => {
    lines.push(line);
    if (lines.length > keptLines) lines.shift();
  };
  const started: Started = [];
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => resolve());
    }
    // Whoever read the output has gone, as with `npm start | head`.
    process.stdout.on('error', () => resolve());
  });
  report.title('Countersign: only your own, managed devices may sign in');
  const running = runDemo(settings, report, (line) => show(line), started);
  try {
    const isRunning = await Promise.race([running.then(() => true), asked.then(() => false)]);
    if (isRunning) {
      show = (line) => report.note(line);
      await asked;
    }
    show = () => undefined;
    // A start that was broken off may be between two steps: what it has started until then is stopped too.
    await stopAll(started);
    if (!isRunning) {
      await running.catch(() => undefined);
      await stopAll(started);
    }
    return 0;
  } catch (error) {
    reportFailure(report, error, lines);
    await stopAll(started);
    return 1;
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`countersign: ${error.message}\n\n${usageOf(defaults)}`);
  process.exitCode = 2;
}
