import { describe, expect, it } from 'vitest';
import { readReport } from './test-report.ts';

const report = (...files: [status: string, tests: string[]][]) => ({
  testResults: files.map(([status, tests], index) => ({
    name: `file-${index}`,
    status,
    message: tests.length === 0 ? 'cannot be loaded' : '',
    assertionResults: tests.map((test, number) => ({
      status: test,
      fullName: `test ${number}`,
      failureMessages: test === 'failed' ? ['expected 1 to be 2\n\n    at the line'] : [],
    })),
  })),
});

const counted = (...args: Parameters<typeof readReport>) => {
  const { passed, failed } = readReport(...args);
  return { passed, failed };
};

describe('readReport', () => {
  it('adds up the tests of all files', () => {
    const counts = counted(
      report(['passed', ['passed', 'passed']], ['failed', ['failed', 'passed']]),
      1,
      false,
    );
    expect(counts).toEqual({ passed: 3, failed: 1 });
  });

  it('counts a file that could not be loaded as one failure', () => {
    expect(counted(report(['failed', []], ['passed', ['passed']]), 1, false)).toEqual({
      passed: 1,
      failed: 1,
    });
  });

  it('counts an error outside of every test as one failure', () => {
    expect(counted(report(['passed', ['passed']]), 1, false)).toEqual({ passed: 1, failed: 1 });
  });

  it('counts a missing report as one failure, whatever the exit code', () => {
    expect(counted(undefined, 0, false)).toEqual({ passed: 0, failed: 1 });
    expect(counted({ testResults: 'none' }, 0, true)).toEqual({ passed: 0, failed: 1 });
  });

  it('counts a skipped test as failed unless a filter skipped it', () => {
    const skipping = report(['passed', ['passed', 'skipped', 'todo']]);
    expect(counted(skipping, 0, false)).toEqual({ passed: 1, failed: 2 });
    expect(counted(skipping, 0, true)).toEqual({ passed: 1, failed: 0 });
  });

  it('names every failure once, with what it said', () => {
    const failing = report(['failed', ['passed', 'failed', 'skipped']], ['failed', []]);
    expect(readReport(failing, 1, false).failures).toEqual([
      'file-0 > test 1 (failed)\n    expected 1 to be 2\n    at the line',
      'file-0 > test 2 (skipped)',
      'file-1\n    cannot be loaded',
    ]);
    expect(readReport(report(['passed', ['passed']]), 1, false).failures).toEqual([
      'an error outside of every test',
    ]);
    expect(readReport(undefined, 1, false).failures).toEqual(['vitest left no report']);
  });
});
