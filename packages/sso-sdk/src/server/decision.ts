/** What the broker decided, with its reasons. */
export type Decision = AllowedDecision | DeniedDecision;

/** Let the person in. */
export type AllowedDecision = DecisionFacts & {
  readonly decision: true;
  /** Verified already; may be handed on to a service that verifies it too. Lives at most 60 seconds. */
  readonly decisionToken: string;
};

/** Do not let the person in; show `reasonUser`. */
export type DeniedDecision = DecisionFacts & { readonly decision: false };

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
  readonly policy: { readonly version: number; readonly rule: string };
  /** `X-Request-ID` of the call; the broker's log has it too. */
  readonly requestId: string;
};
