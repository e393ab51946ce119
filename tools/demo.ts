// `npm run demo`: two windows of the installed browser on a sample sign-in site, one managed and one not, and a terminal
// that says what happens while somebody signs in. Needs no root, touches no profile but its own.
import { findBrowser, whatToInstall } from './demo/find-browser.ts';
import { runBrowserDemo } from './demo/run-demo.ts';
import { readDemoSettings, UsageError, usageOf } from './start/demo-settings.ts';
import { createReport, reportFailure, StepError } from './start/report.ts';
import { breakOff, keepNewestLines, runCommand, whenAskedToEnd } from './start/run-command.ts';
import { type Started, stopAll } from './start/start-sample.ts';

const defaults = { command: 'npm run demo --', dataDirectory: '.countersign-demo' };
const usage = `${usageOf(defaults)}  --browser PATH       COUNTERSIGN_BROWSER      Chromium, Chrome or Edge               the first one found
  --headless                                    without windows: signs in by itself, once in each browser
`;

type Arguments = {
  readonly browser: string | undefined;
  readonly isHeadless: boolean;
  readonly rest: string[];
};

/** Takes out what this command has beyond `npm start`. @throws UsageError */
function takeOwnArguments(given: readonly string[]): Arguments {
  const rest: string[] = [];
  let browser = process.env.COUNTERSIGN_BROWSER || undefined;
  let isHeadless = false;
  for (let index = 0; index < given.length; index++) {
    const argument = given[index] ?? '';
    if (argument === '--headless') isHeadless = true;
    else if (argument.startsWith('--browser=')) browser = argument.slice('--browser='.length);
    else if (argument === '--browser') {
      index += 1;
      browser = given[index];
      if (browser === undefined) throw new UsageError('--browser needs the path of a browser');
    } else rest.push(argument);
  }
  return { browser, isHeadless, rest };
}

async function main(): Promise<number> {
  const { browser: named, isHeadless, rest } = takeOwnArguments(process.argv.slice(2));
  const settings = readDemoSettings(rest, process.env, defaults);
  if (settings === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  const report = createReport(process.stdout);
  const { lines, keep } = keepNewestLines();
  const started: Started = [];
  const asked = whenAskedToEnd();
  report.title('Countersign in a browser: one window is managed, the other is not');
  try {
    const browser = findBrowser(process.env.PATH ?? '', named);
    if (browser === undefined) {
      const what =
        named === undefined ? 'there is none that this can use' : `${named} is not there`;
      throw new StepError(`browser: ${what}`, whatToInstall);
    }
    const running = runBrowserDemo({ ...settings, browser, isHeadless }, report, keep, started);
    const outcome = await Promise.race([running, asked]);
    await breakOff(running, started);
    if (outcome !== false) return 0;
    throw new StepError(
      'demo: the browsers did not show what they should',
      'The steps above say where it went wrong.',
    );
  } catch (error) {
    reportFailure(report, error, lines);
    await stopAll(started);
    return 1;
  }
}

await runCommand(usage, main);
