export type Verdict = 'ok' | 'warning' | 'failure';

/** One line of the doctor. */
export type Finding = {
  readonly check: string;
  readonly verdict: Verdict;
  readonly detail: string;
  /** What to do; absent where nothing is to be done. */
  readonly remedy?: string;
};

export const ok = (check: string, detail: string): Finding => ({ check, verdict: 'ok', detail });
export const warning = (check: string, detail: string, remedy: string): Finding => ({
  check,
  verdict: 'warning',
  detail,
  remedy,
});
export const failure = (check: string, detail: string, remedy: string): Finding => ({
  check,
  verdict: 'failure',
  detail,
  remedy,
});
