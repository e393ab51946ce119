import { accessSync, constants, existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nativeHostName } from '@countersign/protocol/native-messages';
import { parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import {
  type HostManifestBrowser,
  hostManifestBrowsers,
  hostManifestPlace,
} from '../installation/host-manifest-place.ts';
import type { SchedulePlace } from '../schedule/keep-schedule.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';
import { type Finding, failure, ok } from './finding.ts';

/** A host manifest as browsers read it; both forms. */
const hostManifest = z.object({
  name: z.literal(nativeHostName),
  path: z.string(),
  type: z.literal('stdio'),
  allowed_origins: z.optional(z.array(z.string())),
  allowed_extensions: z.optional(z.array(z.string())),
});

/** What is wrong with the manifest in this file, or `undefined`. */
export function findManifestProblem(
  browser: HostManifestBrowser,
  file: string,
): string | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch {
    return 'cannot be read';
  }
  const json = parseStrictJsonBytes(bytes);
  if (!json.ok) return json.detail;
  const manifest = parseFields(hostManifest, json.value);
  if (!manifest.ok) return `${manifest.field} ${manifest.detail}`;
  const { path, allowed_origins, allowed_extensions } = manifest.value;
  const extensions = browser === 'firefox' ? allowed_extensions : allowed_origins;
  if (extensions === undefined || extensions.length === 0) {
    return `names no extension, in the way that ${browser} reads`;
  }
  try {
    accessSync(path, constants.X_OK);
    return undefined;
  } catch {
    return `names a program that cannot be started: ${path}`;
  }
}

/** Does a browser know this host, and does each that knows it find a program? */
export function checkHostManifests({ homeDirectory, platform }: SchedulePlace): Finding {
  const files = hostManifestBrowsers.flatMap((browser) =>
    [{ scope: 'system' } as const, { scope: 'user', homeDirectory } as const].flatMap((of) => {
      const place = hostManifestPlace(browser, of, platform);
      const file = join(place.path, `${nativeHostName}.json`);
      return place.kind === 'folder' ? [{ browser, file }] : [];
    }),
  );
  if (files.length === 0) return ok('browsers', 'not looked at on this system');
  const found = files.filter(({ file }) => existsSync(file));
  const again = 'install the host manifests again';
  if (found.length === 0) return failure('browsers', 'no browser knows this host', again);
  for (const { browser, file } of found) {
    const problem = findManifestProblem(browser, file);
    if (problem !== undefined) return failure('browsers', `${file}: ${problem}`, again);
  }
  const names = [...new Set(found.map(({ browser }) => browser))];
  const blocking = names.find((browser) => isHostBlocked(readPolicies(browser, platform)));
  if (blocking !== undefined) {
    const detail = `a policy keeps ${blocking} from starting the host: NativeMessagingBlocklist`;
    return failure('browsers', detail, `allow ${nativeHostName} in NativeMessagingAllowlist`);
  }
  return ok('browsers', `the host is registered for ${names.join(', ')}`);
}

/** Where Chromium and its relatives find the files of their managed policies on Linux. */
const policyFolders: Readonly<Partial<Record<HostManifestBrowser, string>>> = {
  chrome: '/etc/opt/chrome/policies/managed',
  chromium: '/etc/chromium/policies/managed',
  edge: '/etc/opt/edge/policies/managed',
};

/** In the order in which a browser takes them. Elsewhere than on Linux none is a file that could be read. */
function readPolicies(browser: HostManifestBrowser, platform: NodeJS.Platform): unknown[] {
  const folder = policyFolders[browser];
  if (platform !== 'linux' || folder === undefined) return [];
  return globSync('*.json', { cwd: folder })
    .toSorted()
    .flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown];
      } catch {
        // The browser does not take it either.
        return [];
      }
    });
}

/** Chromium's policies that decide whether a host is started (chromeenterprise.google/policies). */
const nativeMessagingPolicy = z.object({
  NativeMessagingBlocklist: z.optional(z.array(z.string())),
  NativeMessagingAllowlist: z.optional(z.array(z.string())),
});

/**
 * Do these policy files of one browser together keep it from starting the host? A list that several files have is the
 * one of the file that comes last by name; either may name a host or, with `*`, all of them, and what is allowed by name
 * is started all the same.
 */
export function isHostBlocked(policies: readonly unknown[]): boolean {
  const blocked = new Set<string>();
  const allowed = new Set<string>();
  for (const policy of policies) {
    const read = z.safeParse(nativeMessagingPolicy, policy);
    if (!read.success) continue;
    const { NativeMessagingBlocklist: block, NativeMessagingAllowlist: allow } = read.data;
    if (block !== undefined) replace(blocked, block);
    if (allow !== undefined) replace(allowed, allow);
  }
  return (blocked.has('*') || blocked.has(nativeHostName)) && !allowed.has(nativeHostName);
}

function replace(set: Set<string>, names: readonly string[]): void {
  set.clear();
  for (const name of names) set.add(name);
}
