import { defineConfig, type TestProjectConfiguration } from 'vitest/config';

const seconds = (count: number) => count * 1000;

/** Tests that start programs, databases or browsers of their own: one file at a time. */
const oneFileAtATime = { fileParallelism: false, maxWorkers: 1 };

/** The same, where nothing is measured and the machine as a whole is not changed. */
const twoFilesAtATime = { fileParallelism: true, maxWorkers: 2 };

/** A file on each processor; left to itself, vitest keeps one free, and takes twice as long where there are two. */
const fileOnEachProcessor = { maxWorkers: '100%' };

const unit: TestProjectConfiguration = {
  test: {
    name: 'unit',
    environment: 'node',
    include: [
      'packages/*/src/**/*.test.ts',
      'worker/src/**/*.test.ts',
      'worker/openapi/*.test.ts',
      'extension/src/**/*.test.ts',
      'tools/**/*.test.ts',
    ],
    ...fileOnEachProcessor,
    testTimeout: seconds(30),
    hookTimeout: seconds(30),
  },
};

const architecture: TestProjectConfiguration = {
  test: {
    name: 'architecture',
    environment: 'node',
    include: ['test/*.test.ts'],
    testTimeout: seconds(20),
  },
};

const conformance: TestProjectConfiguration = {
  test: {
    name: 'conformance',
    environment: 'node',
    include: ['test/conformance/**/*.test.ts'],
    ...twoFilesAtATime,
    testTimeout: seconds(60),
    hookTimeout: seconds(120),
  },
};

const e2e: TestProjectConfiguration = {
  test: {
    name: 'e2e',
    environment: 'node',
    include: ['test/e2e/**/*.test.ts'],
    globalSetup: ['test/e2e/global-setup.ts'],
    ...oneFileAtATime,
    testTimeout: seconds(90),
    hookTimeout: seconds(180),
  },
};

const faults: TestProjectConfiguration = {
  test: {
    name: 'faults',
    environment: 'node',
    include: ['test/faults/**/*.test.ts'],
    ...twoFilesAtATime,
    testTimeout: seconds(240),
    hookTimeout: seconds(120),
  },
};

// Has a configuration of its own (it starts workerd), which vitest loads only when this project runs.
const integration = './test/integration/vitest.config.ts';

export default defineConfig({
  test: {
    projects: [unit, architecture, integration, conformance, e2e, faults],
    passWithNoTests: false,
    silent: 'passed-only',
  },
});
