import {
  type FailOpenReport,
  failOpenReportsAnswer,
  maxFailOpenReports,
} from '@countersign/protocol/fail-open';
import { parseFields } from '@countersign/protocol/schemas';
import type { CountersignErrorCode } from '../countersign-error.ts';
import type { Asked } from './ask-in-background.ts';
import type { FailOpenEvent } from './fail-open-options.ts';
import type { StateKeeper } from './kept-state.ts';

/** The broker will never take what it says this of; whatever else it says may be otherwise later. */
const neverTaken: readonly (CountersignErrorCode | undefined)[] = [
  'field_invalid',
  'json_malformed',
  'body_too_large',
];

type ReportContext = {
  readonly ask: (path: string, body: object) => Promise<Asked>;
  readonly tell: (event: FailOpenEvent) => void;
};

/** Sign-ins without a decision that the broker does not know of yet. */
export class ReportKeeper {
  readonly #context: ReportContext;
  readonly #kept: StateKeeper;

  constructor(context: ReportContext, kept: StateKeeper) {
    this.#context = context;
    this.#kept = kept;
  }

  get count(): number {
    return this.#kept.state.reports.length;
  }

  /** @returns false where it is not kept, and is as if it had never been */
  async add(report: FailOpenReport): Promise<boolean> {
    this.#kept.change({ reports: [...this.#kept.state.reports, report] });
    if (await this.#kept.save()) return true;
    this.#leaveOut([report]);
    return false;
  }

  async remove(reports: readonly FailOpenReport[]): Promise<void> {
    this.#leaveOut(reports);
    await this.#kept.save();
  }

  /** @returns false where the broker did not take them, and they are to be brought again */
  async deliver(): Promise<boolean> {
    for (let atOnce = maxFailOpenReports; ; ) {
      const reports = this.#kept.state.reports.slice(0, atOnce);
      if (reports.length === 0) return true;
      const asked = await this.#context.ask('/v1/fail-open-reports', { reports });
      const refusal = asked.ok ? undefined : asked.error.code;
      const isTaken = asked.ok && parseFields(failOpenReportsAnswer, asked.json).ok;
      if (!isTaken && !neverTaken.includes(refusal)) return false;
      if (!isTaken && reports.length > 1) {
        // It is one of them: the others are taken when they come alone.
        atOnce = 1;
        continue;
      }
      await this.remove(reports);
      if (refusal === undefined) this.#context.tell({ type: 'reported', reports: reports.length });
      else this.#context.tell({ type: 'report_refused', reports, code: refusal });
    }
  }

  #leaveOut(reports: readonly FailOpenReport[]): void {
    const gone = new Set(reports.map(({ report_id }) => report_id));
    const left = this.#kept.state.reports.filter(({ report_id }) => !gone.has(report_id));
    this.#kept.change({ reports: left });
  }
}
