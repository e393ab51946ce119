import { describe, expect, it } from 'vitest';
import { codeOfBrowserError } from './browser-errors.ts';

describe('codeOfBrowserError', () => {
  it.each([
    ['Specified native messaging host not found.', 'host_not_installed'],
    [
      'Access to the native messaging host was disabled by the system administrator.',
      'host_blocked_by_policy',
    ],
    ['Access to the specified native messaging host is forbidden.', 'host_forbidden'],
    ['Native host has exited.', 'host_exited'],
    ['Failed to start native messaging host.', 'host_exited'],
    ['Error when communicating with the native messaging host.', 'host_answer_malformed'],
    ['No such native application dev.countersign.host', 'host_not_installed'],
    ['File at path "/x" does not exist, or is not executable', 'host_not_installed'],
    [
      'This extension does not have permission to use native application dev.countersign.host',
      'host_forbidden',
    ],
    [
      'Native application tried to send a message of 9 bytes, which exceeds the limit of 8 bytes.',
      'host_answer_malformed',
    ],
    ['An unexpected error occurred', 'host_exited'],
    ['something new', 'extension_error'],
  ])('%s', (words, code) => {
    expect(codeOfBrowserError(new Error(words))).toBe(code);
  });

  it('takes anything that is thrown', () => {
    expect(codeOfBrowserError('Native host has exited.')).toBe('host_exited');
    expect(codeOfBrowserError(undefined)).toBe('extension_error');
  });
});
