import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nativeHostName } from '@countersign/protocol/native-messages';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderHostManifest } from '../installation/host-manifest.ts';
import { checkHostManifests, findManifestProblem, isHostBlocked } from './check-browsers.ts';

const folder = mkdtempSync(join(tmpdir(), 'countersign-browsers-'));
const launcherPath = join(folder, 'launcher');
beforeAll(() => {
  writeFileSync(launcherPath, '#!/bin/sh\n');
  chmodSync(launcherPath, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ofChromium = { launcherPath, extensionIds: ['a'.repeat(32)] } as const;
const ofFirefox = {
  launcherPath,
  form: 'firefox',
  extensionIds: ['countersign@example.com'],
} as const;

function written(text: string): string {
  const file = join(folder, 'manifest.json');
  writeFileSync(file, text);
  return file;
}

describe('findManifestProblem', () => {
  it('finds none in what the installation writes', () => {
    expect(findManifestProblem('edge', written(renderHostManifest(ofChromium)))).toBeUndefined();
    expect(findManifestProblem('firefox', written(renderHostManifest(ofFirefox)))).toBeUndefined();
  });

  it('finds that the browser reads the other form', () => {
    expect(findManifestProblem('firefox', written(renderHostManifest(ofChromium)))).toMatch(
      /names no extension, in the way that firefox reads/,
    );
  });

  it('finds a program that is not there, or that nobody may start', () => {
    const gone = { ...ofChromium, launcherPath: join(folder, 'gone') };
    expect(findManifestProblem('chrome', written(renderHostManifest(gone)))).toContain('/gone');
  });

  it.each([
    ['{', /./],
    ['[]', /./],
    [renderHostManifest(ofChromium).replace(nativeHostName, 'com.example.other'), /name/],
    [renderHostManifest(ofChromium).replace('"stdio"', '"pipe"'), /type/],
  ])('finds what is no manifest of this host: %s', (text, problem) => {
    expect(findManifestProblem('chrome', written(text))).toMatch(problem);
  });
});

describe('checkHostManifests', () => {
  it('names the browsers of this person, and the file of one that is broken', () => {
    const home = mkdtempSync(join(folder, 'home-'));
    const place = { platform: 'linux', homeDirectory: home } as const;
    const directory = join(home, '.config/microsoft-edge/NativeMessagingHosts');
    mkdirSync(directory, { recursive: true });
    const file = join(directory, `${nativeHostName}.json`);
    writeFileSync(file, renderHostManifest(ofChromium));
    expect(checkHostManifests(place)).toMatchObject({
      verdict: 'ok',
      detail: expect.stringContaining('edge'),
    });
    writeFileSync(file, '{}');
    expect(checkHostManifests(place)).toMatchObject({
      verdict: 'failure',
      detail: expect.stringContaining(file),
    });
  });

  it('looks nowhere where manifests are no files', () => {
    const place = { platform: 'win32', homeDirectory: 'C:\\Users\\ada' } as const;
    expect(checkHostManifests(place)).toMatchObject({ verdict: 'ok' });
  });
});

describe('isHostBlocked', () => {
  it.each([
    [[], false],
    [[{ NativeMessagingBlocklist: ['*'] }], true],
    [[{ NativeMessagingBlocklist: [nativeHostName] }], true],
    [[{ NativeMessagingBlocklist: ['com.example.other'] }], false],
    [[{ NativeMessagingBlocklist: ['*'], NativeMessagingAllowlist: [nativeHostName] }], false],
    [[{ NativeMessagingBlocklist: ['*'] }, { NativeMessagingAllowlist: [nativeHostName] }], false],
    [[{ NativeMessagingBlocklist: ['*'] }, { NativeMessagingBlocklist: [] }], false],
    [[{ NativeMessagingBlocklist: '*' }, 'no policy'], false],
  ])('%j: %j', (policies, blocked) => {
    expect(isHostBlocked(policies)).toBe(blocked);
  });
});
