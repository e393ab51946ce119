import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renderHostManifest, writeHostManifest } from './host-manifest.ts';
import {
  type HostManifestBrowser,
  hostManifestBrowsers,
  hostManifestPlace,
} from './host-manifest-place.ts';
import { renderLauncher, writeLauncher } from './launcher.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-installation-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const extensionId = 'abcdefghijklmnopabcdefghijklmnop';
/** Says as JSON how it was started. */
const reporter = 'console.log(JSON.stringify({ argv: process.argv.slice(2), env: process.env }))';

type Report = { argv: string[]; env: Record<string, string> };

/** Starts the launcher as a browser would, from an unfriendly environment. */
function start(launcher: string, args: readonly string[], env: NodeJS.ProcessEnv): Report {
  const output = execFileSync(launcher, args, {
    env,
    cwd: folder,
    encoding: 'utf8',
    timeout: 10_000,
  });
  return JSON.parse(output);
}

describe('the launcher', () => {
  it.each([
    'plain',
    'with space',
    "with'quote",
    "''",
    'with"double',
    'with$HOME and $(touch pwned) and `touch pwned`',
    'with\\backslash',
    'with\nline break',
    'with;semi & amp | pipe > redirect * ? [a] ~',
    '-leading',
    'ünïcödé',
  ])('starts a program at a path %j with just that', (name) => {
    const program = join(folder, `${name}.cjs`);
    const configurationPath = join(folder, name, 'host.json');
    writeFileSync(program, reporter);
    const launcher = join(folder, 'launcher');
    writeLauncher(launcher, {
      nodePath: process.execPath,
      programPath: program,
      configurationPath,
    });
    const origin = `chrome-extension://${extensionId}/`;
    const report = start(launcher, [origin, '--parent-window=0', "a 'b' $c"], {
      HOME: '/home/a b',
    });
    expect(report.argv).toEqual([
      '--config',
      configurationPath,
      'native-messaging',
      origin,
      '--parent-window=0',
      "a 'b' $c",
    ]);
    expect(existsSync(join(folder, 'pwned'))).toBe(false);
  });

  it('lets nothing of the environment through but HOME', () => {
    const program = join(folder, 'reporter.mjs');
    writeFileSync(program, reporter);
    const launcher = join(folder, 'launcher');
    writeLauncher(launcher, {
      nodePath: process.execPath,
      programPath: program,
      configurationPath: '/etc/countersign/host.json',
    });
    const hostile = {
      NODE_OPTIONS: '--require ./evil.cjs',
      NODE_EXTRA_CA_CERTS: './evil.pem',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      OPENSSL_CONF: './evil.cnf',
      PATH: `${folder}:/usr/bin`,
      COUNTERSIGN_ENROLLMENT_TOKEN: 'secret',
    };
    writeFileSync(join(folder, 'evil.cjs'), 'console.log("evil"); process.exit(1);');
    expect(start(launcher, [], { ...hostile, HOME: "/home/o'brien" }).env).toEqual({
      HOME: "/home/o'brien",
      PATH: '/usr/bin:/bin',
    });
    expect(start(launcher, [], hostile).env).toEqual({ PATH: '/usr/bin:/bin' });
  });

  it('can be started by everybody and changed by its owner', () => {
    const umask = process.umask(0o077);
    const launcher = join(folder, 'made', 'launcher');
    const paths = { nodePath: '/n', programPath: '/p', configurationPath: '/c' };
    writeLauncher(launcher, paths);
    writeLauncher(launcher, paths);
    process.umask(umask);
    expect(statSync(launcher).mode & 0o777).toBe(0o755);
  });

  it.each([
    { nodePath: 'node', programPath: '/p', configurationPath: '/c' },
    { nodePath: '/n', programPath: './p', configurationPath: '/c' },
    { nodePath: '/n', programPath: '/p', configurationPath: '/c\0' },
  ])('is not made of %j', (paths) => {
    expect(() => renderLauncher(paths)).toThrow(TypeError);
  });
});

describe('the host manifest', () => {
  it('is what Chromium reads', () => {
    const path = writeHostManifest(join(folder, 'native-messaging-hosts'), {
      launcherPath: '/opt/countersign/host launcher',
      extensionIds: [extensionId, 'p'.repeat(32)],
    });
    expect(path).toBe(join(folder, 'native-messaging-hosts', 'dev.countersign.host.json'));
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      name: 'dev.countersign.host',
      description: expect.any(String),
      path: '/opt/countersign/host launcher',
      type: 'stdio',
      allowed_origins: [
        `chrome-extension://${extensionId}/`,
        `chrome-extension://${'p'.repeat(32)}/`,
      ],
    });
  });

  it('is what Firefox reads', () => {
    const extensionIds = [
      'extension@countersign.dev',
      '{12345678-90ab-cdef-1234-567890abcdef}',
    ] as const;
    const text = renderHostManifest({ launcherPath: '/l', extensionIds, form: 'firefox' });
    expect(JSON.parse(text)).toEqual({
      name: 'dev.countersign.host',
      description: expect.any(String),
      path: '/l',
      type: 'stdio',
      allowed_extensions: extensionIds,
    });
  });

  it.each(['*', '', extensionId, 'a b@c', 'name@', '{1234}', 'a@b/c'])(
    'names no extension %j to Firefox',
    (id) => {
      const input = { launcherPath: '/l', extensionIds: [id], form: 'firefox' } as const;
      expect(() => renderHostManifest(input)).toThrow(TypeError);
    },
  );

  it.each(['*', '', 'q'.repeat(32), 'a'.repeat(31), `${extensionId}/`, extensionId.toUpperCase()])(
    'names no extension %j',
    (id) => {
      expect(() => renderHostManifest({ launcherPath: '/l', extensionIds: [id] })).toThrow(
        TypeError,
      );
    },
  );

  it('names no launcher that browsers would not find', () => {
    expect(() =>
      renderHostManifest({ launcherPath: 'launcher', extensionIds: [extensionId] }),
    ).toThrow(TypeError);
  });
});

describe('the place of the host manifest', () => {
  it.each<[HostManifestBrowser, NodeJS.Platform, system: string, user: string]>([
    [
      'chrome',
      'linux',
      '/etc/opt/chrome/native-messaging-hosts',
      '/home/ada/.config/google-chrome/NativeMessagingHosts',
    ],
    [
      'firefox',
      'linux',
      '/usr/lib/mozilla/native-messaging-hosts',
      '/home/ada/.mozilla/native-messaging-hosts',
    ],
    [
      'edge',
      'darwin',
      '/Library/Microsoft/Edge/NativeMessagingHosts',
      '/home/ada/Library/Application Support/Microsoft Edge/NativeMessagingHosts',
    ],
    [
      'firefox',
      'darwin',
      '/Library/Application Support/Mozilla/NativeMessagingHosts',
      '/home/ada/Library/Application Support/Mozilla/NativeMessagingHosts',
    ],
    [
      'firefox',
      'win32',
      'HKEY_LOCAL_MACHINE\\Software\\Mozilla\\NativeMessagingHosts\\dev.countersign.host',
      'HKEY_CURRENT_USER\\Software\\Mozilla\\NativeMessagingHosts\\dev.countersign.host',
    ],
  ])('for %s on %s', (browser, platform, system, user) => {
    const kind = platform === 'win32' ? 'registry_key' : 'folder';
    expect(hostManifestPlace(browser, { scope: 'system' }, platform)).toEqual({
      kind,
      path: system,
    });
    const ofUser = { scope: 'user', homeDirectory: '/home/ada' } as const;
    expect(hostManifestPlace(browser, ofUser, platform)).toEqual({ kind, path: user });
  });

  it('is a different one for each browser', () => {
    for (const platform of ['linux', 'darwin', 'win32'] as const) {
      const places = hostManifestBrowsers.flatMap((browser) =>
        [{ scope: 'system' } as const, { scope: 'user', homeDirectory: '/h' } as const].map(
          (of) => hostManifestPlace(browser, of, platform).path,
        ),
      );
      expect(new Set(places).size).toBe(8);
    }
  });
});
