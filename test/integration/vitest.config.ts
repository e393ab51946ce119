import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineProject } from 'vitest/config';
import { makeTestBindings } from './test-bindings.ts';

export default defineProject({
  plugins: [
    cloudflareTest(async () => ({
      wrangler: { configPath: '../../wrangler.toml' },
      miniflare: { cf: false, bindings: await makeTestBindings() },
    })),
  ],
  test: {
    name: 'integration',
    include: ['**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
