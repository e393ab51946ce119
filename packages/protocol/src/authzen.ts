import * as z from 'zod/mini';
import { evaluationAnswer, evaluationRequest, localizedText } from './evaluation.ts';

/**
 * The AuthZEN Authorization API 1.0 beyond sign-ins, which are in `evaluation.ts`: access inside of applications,
 * several evaluations in one request, searches, metadata. Unknown members are ignored, as the standard asks.
 */

const typeName = z.string().check(z.minLength(1), z.maxLength(64));
const id = z.string().check(z.minLength(1), z.maxLength(256));

/** Deeper than any fact: what goes through a value as it is made must not run out of its stack. */
const maxDepth = 32;

function isDeeperThan(depth: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((member) => isDeeperThan(depth - 1, member));
}

const notTooDeep = z.refine((value: unknown) => !isDeeperThan(maxDepth, value), {
  error: `must not be nested deeper than ${maxDepth}`,
});

/** What the caller says; it counts for what its client is registered as the source of. */
const properties = z.optional(z.record(z.string(), z.unknown()).check(notTooDeep));

/** A subject or a resource. */
const entity = z.object({ type: typeName, id, properties });
const action = z.object({ name: typeName, properties });
const entityType = z.object({ type: typeName, properties });

const accessContext = z.optional(
  z
    .looseObject({
      /** Of the sign-in of this subject at this client, while it lasts: it tells of the device, which is judged as it is now. */
      decision_token: z.optional(z.string().check(z.maxLength(8192))),
    })
    .check(notTooDeep),
);

/** `POST /access/v1/evaluation` about anything but a resource of the type `application`. */
export const accessRequest = z.object({
  subject: entity,
  action,
  resource: entity,
  context: accessContext,
});
export type AccessRequest = z.infer<typeof accessRequest>;

/** Answer to it. */
export const accessAnswer = z.object({
  decision: z.boolean(),
  context: z.object({
    /** `DecisionReason`. */
    reason_code: z.string(),
    reason_admin: localizedText,
    reason_user: localizedText,
    /** Names the row that it was recorded in: `<shard>.<sequence>`. All of one request are in one row. */
    decision_id: z.string(),
    /** Where the person can read on; of a denial alone. */
    learn_more_url: z.optional(z.string()),
    policy: z.object({
      version: z.int(),
      rule: z.string(),
      /** What the rule asked for and what it saw, for administrators. */
      criteria: z.array(
        z.object({
          criterion: z.string(),
          verdict: z.enum(['met', 'not_met', 'unknown']),
          wanted: z.string(),
          seen: z.string(),
        }),
      ),
    }),
  }),
});
export type AccessAnswer = z.infer<typeof accessAnswer>;

/** Which of the two it is follows from `resource.type`. */
export const singleEvaluationRequest = z.union([evaluationRequest, accessRequest]);
export const singleEvaluationAnswer = z.union([evaluationAnswer, accessAnswer]);

export const evaluationsSemantics = [
  'execute_all',
  'deny_on_first_deny',
  'permit_on_first_permit',
] as const;
export type EvaluationsSemantic = (typeof evaluationsSemantics)[number];

export const maxEvaluations = 100;

/** Part of an entity: what an evaluation leaves out. */
const defaultEntity = z.object({ type: z.optional(typeName), id: z.optional(id), properties });

/**
 * `POST /access/v1/evaluations`. Without `evaluations`, or with none in it, as `POST /access/v1/evaluation`. A member of
 * an evaluation takes the place of the default whole; `type`, `id` and `name` that it lacks are those of the default.
 */
export const evaluationsRequest = z.object({
  subject: z.optional(defaultEntity),
  action: z.optional(z.object({ name: z.optional(typeName), properties })),
  resource: z.optional(defaultEntity),
  context: z.optional(z.record(z.string(), z.unknown()).check(notTooDeep)),
  /** Each one is read like a request of its own: what is wrong with it is said in its answer. */
  evaluations: z.optional(z.array(z.unknown()).check(z.maxLength(maxEvaluations))),
  options: z.optional(
    z.object({ evaluations_semantic: z._default(z.enum(evaluationsSemantics), 'execute_all') }),
  ),
});
export type EvaluationsRequest = z.infer<typeof evaluationsRequest>;

/** In place of an answer to an evaluation that could not be made. */
export const failedEvaluation = z.object({
  decision: z.literal(false),
  context: z.object({
    error: z.object({
      /** As if it had been asked alone. */
      status: z.int(),
      message: z.string(),
      /** Of a problem document. */
      code: z.string(),
      field: z.optional(z.string()),
    }),
  }),
});

/** Answers in the order of the evaluations, up to the one that settled it. */
export const evaluationsAnswer = z.object({
  evaluations: z.array(z.union([evaluationAnswer, accessAnswer, failedEvaluation])),
});
export type EvaluationsAnswer = z.infer<typeof evaluationsAnswer>;
/** A request without evaluations is answered as a single one. */
export const evaluationsOrSingleAnswer = z.union([
  evaluationsAnswer,
  evaluationAnswer,
  accessAnswer,
]);

export const defaultSearchPage = 100;
export const maxSearchPage = 1000;

const page = z.optional(
  z.object({
    /** `next_token` of the page before. Everything else is as it was in that request. */
    token: z.optional(z.string().check(z.maxLength(2048))),
    /** At most 1000 are given at once; 100 where nothing is said. */
    limit: z.optional(z.int().check(z.minimum(0))),
  }),
);

/** In the context of a search about sign-ins: as in an evaluation of one. */
export const signInSearchContext = z.object({
  ip_address: z.optional(z.string().check(z.maxLength(64))),
  client_type: z.optional(z.enum(['web_or_modern', 'legacy'])),
  platform: z.optional(
    z.enum(['ios', 'android', 'other_mobile', 'windows', 'macos', 'other_desktop']),
  ),
});

/** `POST /access/v1/search/subject`: who may do it. */
export const subjectSearchRequest = z.object({
  subject: entityType,
  action,
  resource: entity,
  context: accessContext,
  page,
});

/** `POST /access/v1/search/resource`: with what the subject may do it. */
export const resourceSearchRequest = z.object({
  subject: entity,
  action,
  resource: entityType,
  context: accessContext,
  page,
});

/** `POST /access/v1/search/action`: what the subject may do with the resource. */
export const actionSearchRequest = z.object({
  subject: entity,
  resource: entity,
  context: accessContext,
  page,
});
export type ActionSearchRequest = z.infer<typeof actionSearchRequest>;

const pageAnswer = z.object({
  /** Empty: there are no more. */
  next_token: z.string(),
  count: z.int(),
  /** Where all of them were looked at. */
  total: z.optional(z.int()),
});
export type SearchPage = z.infer<typeof pageAnswer>;

/** Answers to searches of subjects and resources, and of actions. */
export const entitySearchAnswer = z.object({
  page: pageAnswer,
  results: z.array(z.object({ type: z.string(), id: z.string() })),
});
export const actionSearchAnswer = z.object({
  page: pageAnswer,
  results: z.array(z.object({ name: z.string() })),
});

const authzenEndpoints = {
  policy_decision_point: z.url(),
  access_evaluation_endpoint: z.url(),
  access_evaluations_endpoint: z.url(),
  search_subject_endpoint: z.url(),
  search_resource_endpoint: z.url(),
  search_action_endpoint: z.url(),
};

export const authzenMetadataTyp = 'authzen-metadata+jwt';

/** Claims of `signed_metadata`, a JWS by the broker (ES256; keys at `/.well-known/jwks.json`). */
export const signedMetadataClaims = z.object({
  /** The policy decision point. */
  iss: z.url(),
  iat: z.int(),
  ...authzenEndpoints,
});
export type SignedMetadataClaims = z.infer<typeof signedMetadataClaims>;

/** `GET /.well-known/authzen-configuration`. */
export const authzenMetadata = z.object({ ...authzenEndpoints, signed_metadata: z.string() });
