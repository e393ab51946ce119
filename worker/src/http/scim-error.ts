import { answerTexts } from '@countersign/protocol/answer-texts';
import { type Problem, problemHeaders, statusOf } from './problem.ts';

/** Refusals in the form of SCIM (RFC 7644 section 3.12), for everything below `/scim`. */

export const scimMediaType = 'application/scim+json';

export const isScimPath = (path: string): boolean => path.startsWith('/scim/');

/** RFC 7644 table 9, where it has a word for it. */
const scimTypes: Partial<Record<Problem['code'], string>> = {
  json_malformed: 'invalidSyntax',
  content_type_unsupported: 'invalidSyntax',
  field_invalid: 'invalidValue',
  scim_syntax_invalid: 'invalidSyntax',
  scim_value_invalid: 'invalidValue',
  scim_path_invalid: 'invalidPath',
  scim_filter_invalid: 'invalidFilter',
  scim_conflict: 'uniqueness',
};

/** The text is what administrators of the identity provider see: it ends with the code that the log has, too. */
export function scimErrorResponse(problem: Problem): Response {
  const status = statusOf[problem.code];
  const scimType = scimTypes[problem.code];
  const { administrator } = answerTexts[problem.code];
  const detail = [administrator, problem.field, problem.detail, `(${problem.code})`]
    .filter((part) => part !== undefined)
    .join(' ');
  const body = {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
    status: String(status),
    ...(scimType === undefined ? {} : { scimType }),
    detail,
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: problemHeaders(problem, scimMediaType),
  });
}
