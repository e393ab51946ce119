import { evaluationRequest } from './evaluation.ts';

/**
 * A user of the admin API. In paths a user id is one percent-encoded
 * segment (RFC 3986 section 2.1, UTF-8); it is compared with `subject.id` of sign-ins character by character.
 */
export const userId = evaluationRequest.shape.subject.shape.id;
