import type { FailOpenReport } from '@countersign/protocol/fail-open';

/**
 * Keeps one text across restarts, which is when it is needed: the server is started again, and the broker is still away. Of
 * one process alone.
 */
export type FailOpenStore = {
  /** What was saved last; `undefined` at first, and only then: what cannot be read is thrown. It is asked again. */
  load(): Promise<string | undefined>;
  /** Resolves when it is where a restart finds it. */
  save(text: string): Promise<void>;
};

/** For the sign-in server's own log. */
export type FailOpenEvent =
  /** Somebody is about to be let in without a decision. */
  | {
      readonly type: 'let_in';
      readonly subject: string;
      readonly application: string;
      /** Why there was no decision. */
      readonly cause: FailOpenReport['cause'];
      readonly reportId: string;
      readonly statementId: string;
      readonly expiresAt: Date;
      readonly requestId: string | undefined;
    }
  /** The broker knows of them now. */
  | { readonly type: 'reported'; readonly reports: number }
  /** The broker takes these reports never: they are in this log alone. */
  | {
      readonly type: 'report_refused';
      readonly reports: readonly FailOpenReport[];
      readonly code: string;
    }
  /** An application may let people in from now on, or no longer; `detail` says why where it is not the broker's word. */
  | { readonly type: 'allowed'; readonly application: string; readonly expiresAt: Date }
  | { readonly type: 'not_allowed'; readonly application: string; readonly detail: string }
  /** No word of the broker on an application; told once, until there is one. What is kept is used until it ends. */
  | { readonly type: 'not_renewed'; readonly application: string; readonly detail: string }
  /** What was stored cannot be read or written; until it has been read, it is not written and nobody is let in. */
  | { readonly type: 'store_failed'; readonly detail: string };

/**
 * Letting people in while the broker cannot be reached, where its administrators have chosen so for the application. Both
 * must want it: without this option a server never does.
 */
export type FailOpenOptions = {
  /** Those that the broker is asked about, in the background, from the moment that the client is created. */
  readonly applications: readonly string[];
  /** Called before anybody is let in; where it throws, nobody is. */
  readonly log: (event: FailOpenEvent) => void;
  /** Without one, a server that starts during an outage lets nobody in, and forgets what it has not reported. */
  readonly store?: FailOpenStore | undefined;
};
