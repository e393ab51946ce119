import type { ProblemCode } from '@countersign/protocol';

/** `broker_unreachable` and `broker_answer_malformed` are found by the page; every other code is the broker's own. */
export type AttestErrorCode = ProblemCode | 'broker_unreachable' | 'broker_answer_malformed';

/** There is no challenge, hence no evidence. Its message is its code; texts for people stay at the broker. */
export class AttestError extends Error {
  readonly code: AttestErrorCode;
  /** HTTP status, when the broker answered. */
  readonly status: number | undefined;
  /** What the person can do, in the broker's words, when it sent any. */
  readonly userText: string | undefined;

  constructor(
    code: AttestErrorCode,
    facts: { cause?: unknown; status?: number; userText?: string | undefined } = {},
  ) {
    super(code, { cause: facts.cause });
    this.name = 'AttestError';
    this.code = code;
    this.status = facts.status;
    this.userText = facts.userText;
  }
}
