import { styleText } from 'node:util';

/** What the newcomer sees: aligned lines, colours on a terminal only. */

/** A step that failed: what, why, and what to do about it. */
export class StepError extends Error {
  readonly advice: string;

  constructor(what: string, advice: string, options?: ErrorOptions) {
    super(what, options);
    this.name = 'StepError';
    this.advice = advice;
  }
}

const labelWidth = 14;

/** Text that came from elsewhere must not steer the terminal. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}

type Style = Parameters<typeof styleText>[0];

export function createReport(stream: NodeJS.WriteStream) {
  const styled = (style: Style, text: string) => styleText(style, text, { stream });
  const line = (text = '') => stream.write(`${text}\n`);
  return {
    title(text: string) {
      line();
      line(styled('bold', text));
      line();
    },
    /** A label and what it is about; further lines stand under the first. */
    row(label: string, ...lines: readonly string[]) {
      lines.forEach((text, index) => {
        const left = (index === 0 ? label : '').padEnd(labelWidth);
        line(`  ${styled('cyan', left)} ${printable(text)}`);
      });
    },
    outcome(label: string, isGood: boolean, word: string, text: string) {
      const left = styled('cyan', label.padEnd(labelWidth));
      line(`  ${left} ${styled(['bold', isGood ? 'green' : 'red'], word)}  ${printable(text)}`);
    },
    note(text: string) {
      line(styled('dim', printable(text)));
    },
    line,
  };
}
export type Report = ReturnType<typeof createReport>;

/** @param lines newest lines of the log, shown only now */
export function reportFailure(report: Report, error: unknown, lines: readonly string[]): void {
  report.line();
  if (error instanceof StepError) {
    report.outcome('failed', false, '✗', error.message);
    report.row('what to do', error.advice);
  } else {
    report.outcome('failed', false, '✗', error instanceof Error ? error.message : String(error));
    if (error instanceof Error && error.name !== 'EdgeServerError') {
      report.note(error.stack ?? '');
    }
  }
  if (lines.length > 0) {
    report.row('log', ...lines);
  }
}
