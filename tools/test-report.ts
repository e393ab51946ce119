// What a vitest JSON report comes to: counts, and what failed.

/** `failures` says of each failure where it was and what it said: text for a person, one entry a failure. */
export type Outcome = { passed: number; failed: number; failures: readonly string[] };

export const nothingRun: Outcome = { passed: 0, failed: 0, failures: [] };

export const oneFailure = (what: string): Outcome => ({ passed: 0, failed: 1, failures: [what] });

export const addOutcomes = (a: Outcome, b: Outcome): Outcome => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  failures: [...a.failures, ...b.failures],
});

type ReportedTest = { status: string; name: string; messages: string[] };
type ReportedFile = { path: string; status: string; message: string; tests: ReportedTest[] };

const propertyOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

const listOf = (value: unknown, name: string): unknown[] => {
  const list = propertyOf(value, name);
  return Array.isArray(list) ? list : [];
};

const textOf = (value: unknown, name: string): string => String(propertyOf(value, name) ?? '');

function readFiles(report: unknown): ReportedFile[] | undefined {
  const files = propertyOf(report, 'testResults');
  if (!Array.isArray(files)) return undefined;
  return files.map((file) => ({
    path: textOf(file, 'name'),
    status: textOf(file, 'status'),
    message: textOf(file, 'message'),
    tests: listOf(file, 'assertionResults').map((test) => ({
      status: textOf(test, 'status'),
      name: textOf(test, 'fullName'),
      messages: listOf(test, 'failureMessages').map(String),
    })),
  }));
}

/** Where it was, and the first lines of what it said: enough to know what to look for above. */
function describeFailure(where: string, message: string): string {
  const lines = message.split('\n').filter((line) => line.trim() !== '');
  return [where, ...lines.slice(0, 6).map((line) => `    ${line.trim()}`)].join('\n');
}

function readFile(file: ReportedFile, filtered: boolean): Outcome {
  const { path, status, message, tests } = file;
  const wrong = tests.filter((test) =>
    filtered ? test.status === 'failed' : test.status !== 'passed',
  );
  const passed = tests.filter((test) => test.status === 'passed').length;
  if (status === 'failed' && wrong.length === 0) {
    return { passed, failed: 1, failures: [describeFailure(path, message)] };
  }
  const failures = wrong.map((test) =>
    describeFailure(`${path} > ${test.name} (${test.status})`, test.messages.join('\n')),
  );
  return { passed, failed: wrong.length, failures };
}

/**
 * Reads one run of vitest so that nothing that went wrong is lost: a file that could not be loaded, an
 * error outside of every test, and a missing report each count as one failure. A skipped test is one too,
 * unless a filter was given, which skips what it leaves out.
 *
 * @param report the parsed report, or undefined if there was none
 * @param exitCode of vitest
 */
export function readReport(report: unknown, exitCode: number, filtered: boolean): Outcome {
  const files = readFiles(report);
  if (files === undefined) return oneFailure('vitest left no report');
  const outcome = files.map((file) => readFile(file, filtered)).reduce(addOutcomes, nothingRun);
  if (exitCode === 0 || outcome.failed > 0) return outcome;
  return addOutcomes(outcome, oneFailure('an error outside of every test'));
}
