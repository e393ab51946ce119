import type { FailOpenReport } from '@countersign/protocol/fail-open';

/** What the broker decided, with its reasons. */
export type Decision = AllowedDecision | PendingDecision | DeniedDecision;

/** Let the person in. */
export type AllowedDecision = DecisionFacts & {
  readonly decision: true;
  /** Verified already; may be handed on to a service that verifies it too. Lives at most 60 seconds. */
  readonly decisionToken: string;
  /** Ask the person anew after so many seconds; absent: as you do anyway. */
  readonly reauthenticateAfterSeconds?: number;
  readonly failOpen?: undefined;
};

/**
 * Nobody decided: the broker could not be reached, and administrators have chosen that people are let in to this
 * application then. The device was not checked, and nothing was bound. Only where the option `failOpen` was given.
 */
export type FailOpenDecision = {
  readonly decision: true;
  readonly failOpen: {
    /** Why there was no decision. */
    readonly cause: FailOpenReport['cause'];
    /** Of the report that the broker gets when it is back; its log has it as `report_id`. */
    readonly reportId: string;
    readonly statementId: string;
    /** From then on nobody is let in so, unless the broker has answered meanwhile. */
    readonly expiresAt: Date;
  };
  readonly deviceTrusted: false;
  readonly reasonCode: 'fail_open';
  readonly reasonUser: string;
  readonly reasonAdmin: string;
  readonly requestId: string;
  readonly decisionToken?: undefined;
  readonly decisionId?: undefined;
  readonly policy?: undefined;
  readonly stepUp?: undefined;
};

/**
 * Do not let the person in yet: see to what `stepUp` asks for, then call `complete()` with the same input and what was
 * reached. Whoever knows nothing of step-up may treat it like a denial.
 */
export type PendingDecision = DecisionFacts & {
  readonly decision: false;
  readonly stepUp: StepUp;
  readonly learnMoreUrl?: string;
  readonly failOpen?: undefined;
};

/** Do not let the person in; show `reasonUser`, and the link. */
export type DeniedDecision = DecisionFacts & {
  readonly decision: false;
  /** Where the person can read on: always https. Absent where administrators have set none. */
  readonly learnMoreUrl?: string;
  readonly stepUp?: undefined;
  readonly failOpen?: undefined;
};

export type StepUp = {
  /** The `acr` that `complete()` is given must be one of these, unless there are none. */
  readonly acrValues: readonly string[];
  /** One of the `amr` that `complete()` is given must be among these, unless there are none. */
  readonly amrValues: readonly string[];
  /** True when `complete()` must assert that the subject's primary authentication has succeeded. */
  readonly subjectAuthenticated: boolean;
  readonly expiresAt: Date;
};

/** One condition of the rule that decided. */
export type Criterion = {
  readonly criterion: string;
  readonly verdict: 'met' | 'not_met' | 'unknown';
  readonly wanted: string;
  readonly seen: string;
};

export type DecisionFacts = {
  /** Stable code, for example `trusted_device`; a newer broker may know more of them. */
  readonly reasonCode: string;
  /** For the person at the browser: what happened and what to do next. */
  readonly reasonUser: string;
  /** For administrators and logs. */
  readonly reasonAdmin: string;
  /** Names the broker's record of this decision. */
  readonly decisionId: string;
  /** False when the sign-in was allowed although the device proved nothing, as in monitor-only applications. */
  readonly deviceTrusted: boolean;
  readonly policy: {
    readonly version: number;
    readonly rule: string;
    /** What the rule asked for and what it saw: for administrators, never for the page. */
    readonly criteria?: readonly Criterion[] | undefined;
  };
  /** `X-Request-ID` of the call; the broker's log has it too. */
  readonly requestId: string;
};
