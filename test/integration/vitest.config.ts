import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineProject } from 'vitest/config';
import { makeTestBindings } from './test-bindings.ts';

export default defineProject({
  plugins: [
    cloudflareTest(async () => {
      const bindings = await makeTestBindings();
      // Where wrangler looks for the secrets that wrangler.toml requires; it warns about each that it does not find.
      Object.assign(process.env, bindings);
      return {
        wrangler: { configPath: '../../wrangler.toml' },
        miniflare: { cf: false, bindings },
      };
    }),
  ],
  test: {
    name: 'integration',
    include: ['**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // As in the configuration of all projects.
    maxWorkers: '100%',
  },
});
