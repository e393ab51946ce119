import type { ReasonCode } from '@countersign/protocol';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import type { BrokerCallTrace } from '../http/broker-call-trace.ts';
import type { Failure } from '../result.ts';

/** Where a command writes; replaced in tests. */
export type Output = {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
};

export const exitCodes = { done: 0, failed: 1, usage: 2, tryLater: 3 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const temporary: ReadonlySet<ReasonCode> = new Set([
  'broker_unreachable',
  'rate_limited',
  'enrollment_throttled',
  'enrollment_approval_needed',
  'integration_unavailable',
  'integration_busy',
  'read_only',
  'snapshot_unavailable',
  'storage_unavailable',
  'internal_error',
]);

/** Two columns. */
export function printRow(output: Output, label: string, text: string): void {
  output.out(`${label.padEnd(14)} ${printable(text)}\n`);
}

/** One line that says what happened, one that says what it means and what to do. */
export function printFailure(output: Output, failure: Failure<ReasonCode>): ExitCode {
  output.error(`countersign: ${printable(failure.detail)} (${failure.reason})\n`);
  output.error(`${reasonTexts[failure.reason].administrator}\n`);
  if (failure.reason === 'usage_invalid') return exitCodes.usage;
  return temporary.has(failure.reason) ? exitCodes.tryLater : exitCodes.failed;
}

/** Of `--verbose`: beside the output proper, so that this stays as it is. */
export function printBrokerCall(output: Output, call: BrokerCallTrace): void {
  const { method, url, tookMs, result, isRefused } = call;
  const level = isRefused ? 'ERROR' : 'INFO ';
  output.error(`${level}  ${method} ${printable(url)} after ${tookMs} ms: ${printable(result)}\n`);
}

/** Details may hold what a broker or a file said: no line breaks and no escape sequences reach the terminal. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 1000);
}
