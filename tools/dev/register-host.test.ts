import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';

const run = promisify(execFile);
const program = fileURLToPath(new URL('register-host.ts', import.meta.url));

it('lets the unpacked extension start the host from its sources', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-register-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const configuration = join(folder, 'host.json');
  const state = join(folder, 'state');
  const origins = ['https://sso.example.com'];
  writeFileSync(
    configuration,
    JSON.stringify({ origins, state_directory: state, development: true }),
  );
  await run(process.execPath, [program, configuration, 'chromium', join(folder, 'browser')]);
  const path = join(folder, 'browser', 'dev.countersign.host.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8'));
  // The id that browsers give to the development key; `chrome://extensions` shows it.
  expect(manifest.allowed_origins).toEqual([
    'chrome-extension://nnmhlaghceakgnhalngjmlcnbjjgnepp/',
  ]);
  const args = [program, configuration, 'firefox', join(folder, 'firefox')];
  await run(process.execPath, args);
  const firefoxPath = join(folder, 'firefox', 'dev.countersign.host.json');
  const firefoxManifest = JSON.parse(readFileSync(firefoxPath, 'utf8'));
  expect(firefoxManifest.allowed_extensions).toEqual(['extension@countersign.dev']);

  const answer = run(manifest.path, [manifest.allowed_origins[0]]);
  const message = Buffer.from('{"version":1,"id":"1","type":"status"}');
  answer.child.stdin?.end(Buffer.concat([Buffer.from([message.length, 0, 0, 0]), message]));
  const { stdout } = await answer;
  expect(stdout).toContain('"enrolled":false');
});

it.each([[[]], [['host.json', 'netscape']]])('says how it is used when given %j', async (args) => {
  await expect(run(process.execPath, [program, ...args])).rejects.toMatchObject({ code: 2 });
});
