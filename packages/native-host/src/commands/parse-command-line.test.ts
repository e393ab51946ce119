import { describe, expect, it } from 'vitest';
import { defaultConfigurationPath } from '../configuration/default-paths.ts';
import { parseCommandLine } from './parse-command-line.ts';

const configurationPath = defaultConfigurationPath();
const parse = (line: string) => parseCommandLine(line.split(' ').filter((word) => word !== ''));
const extension = 'chrome-extension://abcdefghijklmnopabcdefghijklmnop/';

describe('a command line', () => {
  it.each<[line: string, invocation: object]>([
    ['--help', { command: 'help' }],
    ['enroll --help', { command: 'help' }],
    ['-h', { command: 'help' }],
    ['--version', { command: 'version' }],
    ['status', { command: 'status', configurationPath, json: false }],
    ['status --json --config /a/b', { command: 'status', configurationPath: '/a/b', json: true }],
    [
      'doctor --verbose --config /a/b',
      { command: 'doctor', configurationPath: '/a/b', json: false, verbose: true },
    ],
    ['--config=/a/b status', { command: 'status', configurationPath: '/a/b', json: false }],
    ['enroll', { command: 'enroll', configurationPath }],
    [
      'enroll --broker https://b.example --token-file t --config /a',
      {
        command: 'enroll',
        configurationPath: '/a',
        brokerUrl: 'https://b.example',
        tokenFile: 't',
      },
    ],
    [
      'renew --if-due --local-user ada',
      { command: 'renew', configurationPath, localUser: 'ada', ifDue: true, rekey: false },
    ],
    ['enroll --replace', { command: 'enroll', configurationPath, replace: true }],
    ['native-messaging', { command: 'native-messaging', configurationPath }],
    [
      `--config /a native-messaging ${extension} --parent-window=7 --json x`,
      { command: 'native-messaging', configurationPath: '/a' },
    ],
  ])('%s', (line, invocation) => {
    expect(parse(line)).toEqual({ ok: true, value: invocation });
  });

  it.each([
    ['Chromium', [extension]],
    ['Chromium on Windows', [extension, '--parent-window=123']],
    [
      'Firefox',
      ['/usr/lib/mozilla/native-messaging-hosts/dev.countersign.host.json', 'id@example'],
    ],
  ])('of %s means native messaging', (_, words) => {
    expect(parseCommandLine(words)).toEqual({
      ok: true,
      value: { command: 'native-messaging', configurationPath },
    });
  });
});

describe('a command line is refused', () => {
  it.each([
    ['', 'the command is missing'],
    ['--json', 'the command is missing'],
    ['unenroll', 'there is no such command'],
    ['status status', 'status takes no argument'],
    ['status --quiet', 'there is no such option'],
    ['status --broker https://b.example', 'status takes no --broker'],
    ['--local-user ada native-messaging', 'native-messaging takes no --local-user'],
    ['enroll --json', 'enroll takes no --json'],
    ['status --replace', 'status takes no --replace'],
    ['enroll --replace=1', 'there is no such option'],
    ['enroll --broker', '--broker needs a value'],
    ['enroll --broker=', '--broker needs a value'],
    ['enroll --broker a --broker b', '--broker was given twice'],
    ['status --json=1', 'there is no such option'],
    ['status --config host.json', '--config must be an absolute path'],
    ['--broker x native-messaging', 'native-messaging takes no --broker'],
    ['enroll --constructor x', 'there is no such option'],
    ['enroll --__proto__ x', 'there is no such option'],
  ])('%s', (line, detail) => {
    expect(parse(line)).toEqual({ ok: false, reason: 'usage_invalid', detail });
  });

  it.each([
    'enroll --token SECRET',
    'enroll --token=SECRET',
    'enroll SECRET',
    'SECRET',
    '--SECRET',
  ])('without repeating what may be a secret: %s', (line) => {
    const refused = parse(line);
    expect(refused.ok).toBe(false);
    expect(JSON.stringify(refused)).not.toContain('SECRET');
  });
});
