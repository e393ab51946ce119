/** What a code means to the two people who meet it: the one who runs the service, and the one who wants to work. */
export type ReasonText = {
  /** For administrators and engineers: the cause and where to look. */
  readonly administrator: string;
  /** For the person at the browser: what happened and what to do next. */
  readonly person: string;
};

/** Sentences that many texts end with. */
export const tryAgain = 'Reload the sign-in page and try again.';
export const askSupport = 'Ask your IT support for help and tell them the code below.';
export const notOurPage =
  'Do not enter your password here. Open the sign-in page from your bookmark or company portal.';
export const restart =
  'Restart the browser and try again. If it happens again, ask your IT support.';
