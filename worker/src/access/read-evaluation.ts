import { readAddress } from '@countersign/policy';
import {
  type AccessRequest,
  accessRequest,
  type EvaluationsRequest,
} from '@countersign/protocol/authzen';
import {
  type EvaluationRequest,
  evaluationRequest,
  resourceTypeApplication,
} from '@countersign/protocol/evaluation';
import { type FieldProblem, parseFields } from '@countersign/protocol/schemas';

/** One evaluation as it was asked for: a sign-in, or access inside of an application. */
export type ReadEvaluation =
  | { readonly kind: 'sign_in'; readonly request: EvaluationRequest }
  | { readonly kind: 'access'; readonly request: AccessRequest }
  | ({ readonly kind: 'malformed' } & FieldProblem);

type JsonObject = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is asked of an application is about signing in to it, and has the context of a sign-in. */
const isAboutApplication = (body: unknown) =>
  isObject(body) && isObject(body.resource) && body.resource.type === resourceTypeApplication;

/** A text that is no address would be unknown to every rule. */
export function findWrongAddress({
  context,
}: Pick<EvaluationRequest, 'context'>): FieldProblem | undefined {
  const { ip_address: address } = context;
  if (address === undefined || readAddress(address) !== undefined) return undefined;
  return { field: 'context.ip_address', detail: 'must be an IPv4 or IPv6 address' };
}

const malformed = ({ field, detail }: FieldProblem) =>
  ({ kind: 'malformed', field, detail }) as const;

export function readEvaluation(body: unknown): ReadEvaluation {
  if (!isAboutApplication(body)) {
    const parsed = parseFields(accessRequest, body);
    return parsed.ok ? { kind: 'access', request: parsed.value } : malformed(parsed);
  }
  const parsed = parseFields(evaluationRequest, body);
  if (!parsed.ok) return malformed(parsed);
  const wrong = findWrongAddress(parsed.value);
  return wrong === undefined ? { kind: 'sign_in', request: parsed.value } : malformed(wrong);
}

type Defaults = Pick<EvaluationsRequest, 'subject' | 'action' | 'resource' | 'context'>;

/**
 * An evaluation of several with the defaults of them all. What it names itself takes a default's place whole; only what
 * names the entity, and is left out, comes from the default (certification scenario, batch with default values).
 */
export function withDefaults(evaluation: unknown, defaults: Defaults): unknown {
  if (!isObject(evaluation)) return evaluation;
  const merged: Record<string, unknown> = { ...evaluation };
  for (const name of ['subject', 'action', 'resource'] as const) {
    const byDefault = defaults[name];
    const own = evaluation[name];
    if (byDefault === undefined) continue;
    if (own === undefined) merged[name] = byDefault;
    else if (isObject(own)) {
      const { properties: _, ...naming } = byDefault;
      merged[name] = { ...naming, ...own };
    }
  }
  if (evaluation.context === undefined && defaults.context !== undefined) {
    merged.context = defaults.context;
  }
  return merged;
}
