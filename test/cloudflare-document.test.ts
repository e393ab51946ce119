// What would go to Cloudflare is what runs on one machine: wrangler.toml, the worker's environment and the edge server's
// configuration name the same things, and docs/cloudflare.md says which figures they have.
import { describe, expect, it } from 'vitest';
import { importModule, readDocument } from './support/documents.ts';

const toml = readDocument('wrangler.toml');
const document = readDocument('docs/cloudflare.md');
const settingIn = (name: string) => new RegExp(`^${name} = "(.*)"$`, 'm').exec(toml)?.[1];

/** Bindings that the worker knows, with whether it can do without. */
const environment = new Map(
  [
    ...readDocument('worker/src/config/environment.ts').matchAll(
      /^ {2}readonly ([A-Z_0-9]+)(\??):/gm,
    ),
  ].map(([, name = '', optional]) => [name, optional === '?']),
);

describe('wrangler.toml', () => {
  const [required = ''] = /required = \[([^\]]*)\]/.exec(toml)?.slice(1) ?? [];
  const bound = [
    ...[...required.matchAll(/^ {2}"([A-Z_0-9]+)"/gm)].map(([, name = '']) => name),
    ...[...toml.matchAll(/^([A-Z_0-9]+) = "/gm)].map(([, name = '']) => name),
    ...[...toml.matchAll(/^name = "([A-Z]+)"$/gm)].map(([, name = '']) => name),
  ];

  it('binds what the worker needs, and nothing that it does not know', () => {
    expect(environment.size).toBeGreaterThan(15);
    expect(bound.filter((name) => !environment.has(name))).toEqual([]);
    const needed = [...environment].filter(([, optional]) => !optional).map(([name]) => name);
    expect(needed.filter((name) => !bound.includes(name))).toEqual([]);
  });

  it('runs under the compatibility date of the edge server', async () => {
    const { compatibilityDate } = await importModule(
      'packages/edge-server/src/workerd/workerd-configuration.ts',
    );
    expect(settingIn('compatibility_date')).toBe(compatibilityDate);
  });

  it('is reached under the host name of its URL, and under no other', () => {
    const { hostname } = new URL(settingIn('BROKER_URL') ?? '');
    const routes = [...toml.matchAll(/^ {2}\{ pattern = "([^"]+)", custom_domain = true \},$/gm)];
    expect(routes.map(([, pattern]) => pattern)).toEqual([hostname]);
    expect(toml).toMatch(/^workers_dev = false$/m);
    expect(toml).toMatch(/^preview_urls = false$/m);
  });
});

describe('docs/cloudflare.md', () => {
  it('says how many shards there are', () => {
    expect(settingIn('SHARD_COUNT')).toBe('1024');
    expect(document).toContain('1,024 is room');
  });

  it('says how many objects are called at once', async () => {
    const { marksPerPage } = await importModule('packages/protocol/src/state.ts');
    expect(document).toContain(`the marks ask ${Number(marksPerPage) * 2 + 1} in one`);
    const delivery = readDocument('worker/src/directory/deliver-tombstones.ts');
    const [, perRound] = /const deliveriesPerRound = (\d+);/.exec(delivery) ?? [];
    expect(document).toContain(`a round of a deactivation ${perRound}`);
  });
});
