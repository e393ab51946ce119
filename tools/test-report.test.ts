import { describe, expect, it } from 'vitest';
import { countReport } from './test-report.ts';

const report = (...files: [status: string, tests: string[]][]) => ({
  testResults: files.map(([status, tests]) => ({
    status,
    assertionResults: tests.map((test) => ({ status: test })),
  })),
});

describe('countReport', () => {
  it('adds up the tests of all files', () => {
    const counts = countReport(
      report(['passed', ['passed', 'passed']], ['failed', ['failed', 'passed']]),
      1,
      false,
    );
    expect(counts).toEqual({ passed: 3, failed: 1 });
  });

  it('counts a file that could not be loaded as one failure', () => {
    expect(countReport(report(['failed', []], ['passed', ['passed']]), 1, false)).toEqual({
      passed: 1,
      failed: 1,
    });
  });

  it('counts an error outside of every test as one failure', () => {
    expect(countReport(report(['passed', ['passed']]), 1, false)).toEqual({ passed: 1, failed: 1 });
  });

  it('counts a missing report as one failure, whatever the exit code', () => {
    expect(countReport(undefined, 0, false)).toEqual({ passed: 0, failed: 1 });
    expect(countReport({ testResults: 'none' }, 0, true)).toEqual({ passed: 0, failed: 1 });
  });

  it('counts a skipped test as failed unless a filter skipped it', () => {
    const skipping = report(['passed', ['passed', 'skipped', 'todo']]);
    expect(countReport(skipping, 0, false)).toEqual({ passed: 1, failed: 2 });
    expect(countReport(skipping, 0, true)).toEqual({ passed: 1, failed: 0 });
  });
});
