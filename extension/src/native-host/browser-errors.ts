import type { UnavailableCode } from '@countersign/protocol';

/**
 * Browsers say only in words why a native message failed. The words are part of their sources and stable for years;
 * Chromium's and Edge's are the first six, Firefox's the rest.
 */
const knownErrors: readonly (readonly [words: string, code: UnavailableCode])[] = [
  ['Specified native messaging host not found', 'host_not_installed'],
  ['was disabled by the system administrator', 'host_blocked_by_policy'],
  ['Access to the specified native messaging host is forbidden', 'host_forbidden'],
  ['Native host has exited', 'host_exited'],
  ['Failed to start native messaging host', 'host_exited'],
  ['Error when communicating with the native messaging host', 'host_answer_malformed'],

  ['No such native application', 'host_not_installed'],
  ['does not exist, or is not executable', 'host_not_installed'],
  ['does not have permission to use native application', 'host_forbidden'],
  ['Native application tried to send a message', 'host_answer_malformed'],
  // What Firefox makes of every error that is not its own, such as a program that ended.
  ['An unexpected error occurred', 'host_exited'],
];

/** The code for a rejected `sendNativeMessage`; words that no browser is known to use give `extension_error`. */
export function codeOfBrowserError(error: unknown): UnavailableCode {
  const message = messageOf(error);
  return knownErrors.find(([words]) => message.includes(words))?.[1] ?? 'extension_error';
}

/** The words of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
