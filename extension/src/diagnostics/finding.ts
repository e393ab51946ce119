/**
 * `ready`: this device can prove itself. `development`: it can, on a configuration that its user could change.
 * `attention`: it can now, and something wants mending. `not_ready`: it cannot, so that sign-ins count as not trusted.
 */
export type DiagnosisState = 'ready' | 'development' | 'attention' | 'not_ready';

/** The one thing that the popup speaks about. */
export type Finding = {
  readonly state: DiagnosisState;
  readonly headline: string;
  /** What that means for the person, in a sentence or two. */
  readonly explanation: string;
  readonly whoFixesIt: 'nobody' | 'you' | 'it_support';
  /** Empty only where nobody has anything to do. */
  readonly nextStep: string;
  /** For IT support: a code or a word to search for, and what they do about it. */
  readonly problem?: { readonly code: string; readonly administrator: string };
};

/** Days are written out, because 3/4 is a day in March to some and in April to others. */
export function longDate(date: Date): string {
  return date.toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric' });
}
