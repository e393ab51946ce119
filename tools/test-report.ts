// Counts of a vitest JSON report.

export type Counts = { passed: number; failed: number };

export const addCounts = (a: Counts, b: Counts): Counts => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
});

type ReportedFile = { status: string; tests: string[] };

function readFiles(report: unknown): ReportedFile[] | undefined {
  const files = propertyOf(report, 'testResults');
  if (!Array.isArray(files)) return undefined;
  return files.map((file) => {
    const tests = propertyOf(file, 'assertionResults');
    return {
      status: String(propertyOf(file, 'status')),
      tests: Array.isArray(tests) ? tests.map((test) => String(propertyOf(test, 'status'))) : [],
    };
  });
}

const propertyOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

/**
 * Counts one run of vitest so that nothing that went wrong is lost: a file that could not be loaded, an
 * error outside of every test, and a missing report each count as one failure. A skipped test is one too,
 * unless a filter was given, which skips what it leaves out.
 *
 * @param report the parsed report, or undefined if there was none
 * @param exitCode of vitest
 */
export function countReport(report: unknown, exitCode: number, filtered: boolean): Counts {
  const files = readFiles(report);
  if (files === undefined) return { passed: 0, failed: 1 };
  const counts = { passed: 0, failed: 0 };
  for (const { status, tests } of files) {
    const passed = tests.filter((test) => test === 'passed').length;
    const wrong = tests.filter((test) => (filtered ? test === 'failed' : test !== 'passed')).length;
    counts.passed += passed;
    counts.failed += status === 'failed' && wrong === 0 ? 1 : wrong;
  }
  if (exitCode !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}
