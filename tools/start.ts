// `npm start`: builds, starts the broker and a sample sign-in site on this machine, enrols a demo device and shows one
// sign-in step by step. Then it stays until Ctrl-C.
import { readDemoSettings, usageOf } from './start/demo-settings.ts';
import { createReport, reportFailure } from './start/report.ts';
import { breakOff, keepNewestLines, runCommand, whenAskedToEnd } from './start/run-command.ts';
import { runDemo } from './start/run-demo.ts';
import { type Started, stopAll } from './start/start-sample.ts';

const defaults = { command: 'npm start --', dataDirectory: '.countersign' };

async function main(): Promise<number> {
  const settings = readDemoSettings(process.argv.slice(2), process.env, defaults);
  if (settings === undefined) {
    process.stdout.write(usageOf(defaults));
    return 0;
  }
  const report = createReport(process.stdout);
  // While steps are shown, the log is kept for the case that one fails; afterwards it is shown as it comes.
  const { lines, keep } = keepNewestLines();
  let show = keep;
  const started: Started = [];
  const asked = whenAskedToEnd();
  report.title('Countersign: only your own, managed devices may sign in');
  const running = runDemo(settings, report, (line) => show(line), started);
  try {
    const isRunning = await Promise.race([running.then(() => true), asked.then(() => false)]);
    if (isRunning) {
      show = (line) => report.note(line);
      await asked;
    }
    show = () => undefined;
    await breakOff(running, started);
    return 0;
  } catch (error) {
    reportFailure(report, error, lines);
    await stopAll(started);
    return 1;
  }
}

await runCommand(usageOf(defaults), main);
