import {
  actionSignIn,
  completionRequest,
  evaluationRequest,
  resourceTypeApplication,
  subjectTypeUser,
} from '@countersign/protocol/evaluation';
import { parseFields } from '@countersign/protocol/schemas';
import { CountersignError } from './countersign-error.ts';

export type EvaluateInput = {
  /** The user's name at the sign-in server, always spelled the same. */
  readonly subject: string;
  /** The application's id at the broker. */
  readonly application: string;
  /** From the cookie of `serializeTransactionCookie()`, never from the form. */
  readonly transaction: string;
  /** What `attest()` returned; missing or empty when the page sent none, which the broker decides on too. */
  readonly evidence?: string | undefined;
  /** True only when this subject's password, or whatever comes first here, has been verified. */
  readonly subjectAuthenticated: boolean;
  /** Where the person is: IPv4 or IPv6, as your own front says it. Without it, rules about networks count both ways. */
  readonly ipAddress?: string | undefined;
  /** `legacy` for protocols with a password alone, such as Exchange ActiveSync; `web_or_modern` for a browser. */
  readonly clientType?: 'web_or_modern' | 'legacy' | undefined;
  /** What the browser says that it runs on. A managed device's own word counts more. */
  readonly platform?: Platform | undefined;
};

export type Platform = 'ios' | 'android' | 'other_mobile' | 'windows' | 'macos' | 'other_desktop';

export type CompleteInput = EvaluateInput & {
  /** What the step-up reached (OpenID Connect Core section 2). */
  readonly acr?: string;
  readonly amr?: readonly string[];
};

/** Body of `POST /access/v1/evaluation`. Throws `CountersignError` `input_invalid`, naming the member. */
export function evaluationBody(input: EvaluateInput) {
  return checked(parseFields(evaluationRequest, commonMembers(input)));
}

/** Body of `POST /v1/completions`. Throws like `evaluationBody()`. */
export function completionBody(input: CompleteInput) {
  const { acr, amr } = input;
  const body = {
    ...commonMembers(input),
    ...(acr === undefined ? {} : { acr }),
    ...(amr === undefined ? {} : { amr }),
  };
  return checked(parseFields(completionRequest, body));
}

function commonMembers(input: EvaluateInput) {
  const { evidence = '' } = input;
  return {
    subject: { type: subjectTypeUser, id: input.subject },
    action: { name: actionSignIn },
    resource: { type: resourceTypeApplication, id: input.application },
    context: {
      // The protocol lets a foreign client leave it out; one that has this SDK has forgotten it.
      transaction: input.transaction ?? null,
      subject_authenticated: input.subjectAuthenticated,
      ...(input.ipAddress === undefined ? {} : { ip_address: input.ipAddress }),
      ...(input.clientType === undefined ? {} : { client_type: input.clientType }),
      ...(input.platform === undefined ? {} : { platform: input.platform }),
      // A hidden field that no script filled comes back as an empty string.
      ...(evidence === '' ? {} : { evidence }),
    },
  };
}

function checked<Value>(
  parsed: { ok: true; value: Value } | { ok: false; field: string; detail: string },
) {
  if (parsed.ok) return parsed.value;
  throw new CountersignError('input_invalid', { field: parsed.field, detail: parsed.detail });
}
