import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { renderEnrollmentScripts } from './enrollment-scripts.ts';

const folder = mkdtempSync(join(tmpdir(), 'countersign-script-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const integrationId = `int_${'Ab-_'.repeat(5)}Ab`;
const secret = `cses_${integrationId}_${'x'.repeat(43)}`;
const render = (authority: 'organization_secret' | 'one_time_token', given?: string) =>
  renderEnrollmentScripts(
    'https://broker.example.com:8443',
    { integration_id: integrationId, authority, profile: '30d' },
    given,
  );

/** A program that notes its arguments and what it is sent, in place of the host's. */
const program = join(folder, 'countersign');
writeFileSync(
  program,
  `#!/bin/sh\nprintf '%s\\n' "$*" >>'${folder}/calls'\n[ "$1" = enroll ] && cat >>'${folder}/calls'\nexit 0\n`,
);
chmodSync(program, 0o755);

/** Programs of the system that answer so, before the real ones. */
function answerWith(answers: Readonly<Record<string, string>>): void {
  for (const [name, body] of Object.entries(answers)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(folder, name), 0o755);
  }
}
const person = { id: 'echo 501' };
const rootOnLinux = {
  id: 'echo 0',
  uname: 'echo Linux',
  loginctl: 'case $1 in show-seat) echo c7 ;; show-session) [ "$2" = c7 ] && echo ada ;; esac',
};
beforeEach(() => answerWith(person));

function run(
  script: string,
  environment: Readonly<Record<string, string>> = {},
  parameters: readonly string[] = [],
) {
  const path = join(folder, 'script');
  writeFileSync(path, script);
  writeFileSync(join(folder, 'calls'), '');
  const { status, stderr } = spawnSync('/bin/sh', [path, ...parameters], {
    env: { PATH: `${folder}:/usr/bin:/bin`, ...environment },
    encoding: 'utf8',
    timeout: 10_000,
  });
  return { status, stderr, calls: readFileSync(join(folder, 'calls'), 'utf8') };
}

describe('#51 the script for macOS and Linux', () => {
  it('gives the secret to the program alone, on no command line', () => {
    const { status, calls } = run(render('organization_secret', secret).posix);
    expect(status).toBe(0);
    expect(calls).toBe(
      `enroll --broker https://broker.example.com:8443\n${secret}\nschedule\nrenew --if-due\n`,
    );
  });

  it('says whom the device is for, when the management does', () => {
    const { calls } = run(render('organization_secret', secret).posix, {
      COUNTERSIGN_USER: 'ada b',
    });
    expect(calls).toContain('enroll --broker https://broker.example.com:8443 --user ada b\n');
  });

  it('takes a token from its environment, where each device has its own', () => {
    const { posix } = render('one_time_token', secret);
    expect(posix).not.toContain(secret);
    const { status, calls } = run(posix, { COUNTERSIGN_ENROLLMENT_TOKEN: 'its-token' });
    expect([status, calls]).toEqual([
      0,
      'enroll --broker https://broker.example.com:8443\nits-token\nschedule\nrenew --if-due\n',
    ]);
    expect(run(posix).status).not.toBe(0);
  });

  it('enrolls the person at the device, as whom browsers start the program', () => {
    const calls = (user: string) =>
      [
        `enroll --broker https://broker.example.com:8443 --local-user ${user}`,
        secret,
        `schedule --local-user ${user}`,
        `renew --if-due --local-user ${user}`,
        '',
      ].join('\n');
    const { posix } = render('organization_secret', secret);
    answerWith(rootOnLinux);
    expect(run(posix)).toMatchObject({ status: 0, calls: calls('ada') });
    answerWith({ uname: 'echo Darwin', stat: '[ "$*" = "-f %Su /dev/console" ] && echo grace' });
    expect(run(posix)).toMatchObject({ status: 0, calls: calls('grace') });
    expect(run(posix, { COUNTERSIGN_LOCAL_USER: 'bob' })).toMatchObject({ calls: calls('bob') });
  });

  it.each(['organization_secret', 'one_time_token'] as const)(
    'takes everything off again, as a parameter of the management, without a secret: %s',
    (authority) => {
      const parameters = ['/', 'MAC-17', 'ada', 'uninstall'];
      const { posix } = render(authority);
      expect(run(posix, {}, parameters)).toMatchObject({ status: 0, calls: 'uninstall\n' });
      answerWith(rootOnLinux);
      expect(run(posix, {}, parameters)).toMatchObject({
        status: 0,
        calls: 'uninstall --local-user ada\n',
      });
    },
  );

  it('tells more when it is asked to', () => {
    const { calls } = run(render('organization_secret', secret).posix, {}, [
      '/',
      'M',
      '',
      'verbose',
    ]);
    expect(calls).toBe(
      `enroll --broker https://broker.example.com:8443 --verbose\n${secret}\nschedule\nrenew --if-due --verbose\n`,
    );
  });

  it.each([
    ['nobody', 'true'],
    ['the login window', 'echo gdm'],
    ['root', 'echo root'],
    ['what the system does not know', 'exit 1'],
  ])('enrolls nobody while %s is at the device, and is worth trying again', (_, loginctl) => {
    answerWith({ ...rootOnLinux, loginctl });
    expect(run(render('organization_secret', secret).posix)).toEqual({
      status: 3,
      stderr: 'nobody is signed in at this device: run this again when somebody is\n',
      calls: '',
    });
  });

  it('says that the program is missing', () => {
    const path = join(folder, 'script');
    writeFileSync(path, render('organization_secret', secret).posix);
    const { status, stderr } = spawnSync('/bin/sh', [path], {
      env: { PATH: '/usr/bin:/bin' },
      encoding: 'utf8',
      timeout: 10_000,
    });
    expect([status, stderr]).toEqual([3, 'countersign is not installed on this device\n']);
  });

  it.each(['organization_secret', 'one_time_token'] as const)(
    'is well-formed for %s',
    (authority) => {
      const path = join(folder, 'script');
      writeFileSync(path, render(authority, undefined).posix);
      expect(() => execFileSync('/bin/sh', ['-n', path], { timeout: 10_000 })).not.toThrow();
    },
  );
});

describe('the script for Windows', () => {
  it('has the secret in the environment of the program alone', () => {
    const { windows } = render('organization_secret', secret);
    expect(windows).toContain(`$env:COUNTERSIGN_ENROLLMENT_TOKEN = '${secret}'\r\n`);
    expect(windows).toContain("enroll --broker 'https://broker.example.com:8443'\r\n");
    expect(render('one_time_token', secret).windows).not.toContain(secret);
  });

  it('has a place for a secret that is known no longer', () => {
    expect(render('organization_secret').windows).toContain('PASTE_THE_ORGANIZATION_SECRET_HERE');
  });
});
