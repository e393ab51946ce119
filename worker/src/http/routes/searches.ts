import { readAddress, recordedFacts } from '@countersign/policy';
import {
  type ActionSearchRequest,
  actionSearchRequest,
  defaultSearchPage,
  maxSearchPage,
  resourceSearchRequest,
  type SearchPage,
  signInSearchContext,
  subjectSearchRequest,
} from '@countersign/protocol/authzen';
import { resourceTypeApplication } from '@countersign/protocol/evaluation';
import { parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { type FoundPage, findPage } from '../../access/find-page.ts';
import { openDecisionToken } from '../../access/open-decision-token.ts';
import { openPage, type SealedPage, sealPage, searchContext } from '../../access/page-token.ts';
import {
  type Search,
  type SearchFacts,
  searchActions,
  searchResources,
  searchSubjects,
} from '../../access/search.ts';
import { askForSignIn } from '../../access/shown-sign-in.ts';
import { currentTimeMs } from '../../clock.ts';
import { type Authenticated, authenticateRequest } from '../authenticate-request.ts';
import { askObject, type Broker } from '../broker.ts';
import type { Problem } from '../problem.ts';
import { readBody } from '../read-body.ts';
import type { RouteContext } from '../route-context.ts';
import { shownContext } from '../shown-context.ts';

/** AuthZEN Authorization API 1.0: searches. */

type Asked = Extract<Authenticated, { readonly ok: true }>;
type Result<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Problem };

const wrongField = (field: string, detail: string) =>
  ({ ok: false, problem: { code: 'field_invalid', field, detail } }) as const;

const start = { list: 0, after: '' } as const;

/** Which page is asked for. What was said of it in the first request may be left out, and may not be changed. */
async function readPage(
  broker: Broker,
  binding: string,
  { token, limit }: NonNullable<ActionSearchRequest['page']>,
): Promise<Result<SealedPage>> {
  const asked = limit === undefined ? undefined : Math.min(limit, maxSearchPage);
  if (token === undefined) {
    return { ok: true, value: { ...start, limit: asked ?? defaultSearchPage } };
  }
  const opened = await openPage(broker.storedSecretsKey, binding, token);
  if (opened === undefined) {
    return wrongField('page.token', 'must be of the page before, of the very same search');
  }
  if (asked !== undefined && asked !== opened.limit) {
    return wrongField('page.limit', 'must be what it was for the page before');
  }
  // Of none, which asks whether there are any, the next page is one of the usual size.
  return { ok: true, value: { ...opened, limit: asked ?? (opened.limit || defaultSearchPage) } };
}

/** The sign-in whose decision token is shown, with its device as it is now. One that is not on record tells nothing. */
async function findShown(
  broker: Broker,
  { client, read }: Asked,
  token: string | undefined,
): Promise<Result<SearchFacts['shown']>> {
  if (token === undefined) return { ok: true, value: undefined };
  const { brokerUrl, decisionKeys } = broker;
  const context = { brokerUrl, decisionKeys, clientId: client.client_id, nowMs: currentTimeMs() };
  const claims = await openDecisionToken(token, context);
  if (claims === undefined) return { ok: true, value: undefined };
  const found = await askForSignIn(shownContext(broker), read.snapshot, claims);
  if (!found.ok) return { ok: false, problem: { code: found.code } };
  if (found.shown === undefined) return { ok: true, value: undefined };
  const { record, lost } = found.shown;
  const facts = recordedFacts(record);
  const deviceTrust = lost === undefined ? facts.deviceTrust : { trusted: false, reason: lost };
  return { ok: true, value: { user: claims.sub, facts: { ...facts, deviceTrust } } };
}

/** What is said of the connection counts for sign-ins alone; elsewhere those names may mean something else. */
function readAsserted(
  context: ActionSearchRequest['context'],
  resourceType: string,
): Result<SearchFacts['asserted']> {
  if (context === undefined || resourceType !== resourceTypeApplication) {
    return { ok: true, value: {} };
  }
  const parsed = parseFields(z.object({ context: signInSearchContext }), { context });
  if (!parsed.ok) return wrongField(parsed.field, parsed.detail);
  const { ip_address: address } = parsed.value.context;
  return address === undefined || readAddress(address) !== undefined
    ? { ok: true, value: parsed.value.context }
    : wrongField('context.ip_address', 'must be an IPv4 or IPv6 address');
}

async function answerSearch(
  broker: Broker,
  context: RouteContext,
  asked: Asked,
  kind: string,
  request: Pick<ActionSearchRequest, 'context' | 'page'> & {
    readonly resource: { readonly type: string };
  },
  searchWith: (facts: SearchFacts) => Search,
  show: (found: string) => object,
): Promise<Response> {
  const { client, read } = asked;
  const { page: askedPage = {}, ...question } = request;
  const asserted = readAsserted(request.context, request.resource.type);
  if (!asserted.ok) return context.refuse(asserted.problem);
  const binding = searchContext(kind, client.client_id, question);
  const page = await readPage(broker, binding, askedPage);
  if (!page.ok) return context.refuse(page.problem);
  const shown = await findShown(broker, asked, request.context?.decision_token);
  if (!shown.ok) return context.refuse(shown.problem);
  const search = searchWith({
    snapshot: read.snapshot,
    client,
    nowMs: currentTimeMs(),
    shown: shown.value,
    asserted: asserted.value,
  });
  const { limit, ...from } = page.value;
  const found = await findPage(search.candidates(from), search.passes, limit, from);
  const isWhole = askedPage.token === undefined && found.next === undefined;
  const answer: SearchPage = {
    next_token: await sealNext(broker, binding, found, limit),
    count: found.found.length,
    ...(isWhole ? { total: found.found.length } : {}),
  };
  return Response.json({ page: answer, results: found.found.map(show) });
}

async function sealNext(
  broker: Broker,
  binding: string,
  { next }: FoundPage,
  limit: number,
): Promise<string> {
  if (next === undefined) return '';
  return await sealPage(broker.storedSecretsKey, binding, { ...next, limit });
}

/** `POST /access/v1/search/subject`. */
export async function postSubjectSearch(broker: Broker, context: RouteContext): Promise<Response> {
  const asked = await authenticateRequest(broker, context);
  if (!asked.ok) return asked.response;
  if (asked.client.subject_search !== true) {
    return context.refuse({ code: 'subject_search_not_allowed' });
  }
  const body = await readBody(context.request, subjectSearchRequest);
  if (!body.ok) return context.refuse(body.problem);
  const { subject, action, resource } = body.value;
  const failure: { problem?: Problem } = {};
  const listUsers = async (after: string, limit: number) => {
    const listed = await askObject(() => broker.organization().listActiveUsers(after, limit));
    if (listed.ok) return listed.users;
    failure.problem = { code: listed.code };
    return [];
  };
  const response = await answerSearch(
    broker,
    context,
    asked,
    'subject',
    body.value,
    (facts) => searchSubjects(facts, subject.type, action, resource, listUsers),
    (id) => ({ type: subject.type, id }),
  );
  return failure.problem === undefined ? response : context.refuse(failure.problem);
}

/** `POST /access/v1/search/resource`. */
export async function postResourceSearch(broker: Broker, context: RouteContext): Promise<Response> {
  const asked = await authenticateRequest(broker, context);
  if (!asked.ok) return asked.response;
  const body = await readBody(context.request, resourceSearchRequest);
  if (!body.ok) return context.refuse(body.problem);
  const { subject, action, resource } = body.value;
  return await answerSearch(
    broker,
    context,
    asked,
    'resource',
    body.value,
    (facts) => searchResources(facts, subject, action, resource.type),
    (id) => ({ type: resource.type, id }),
  );
}

/** `POST /access/v1/search/action`. */
export async function postActionSearch(broker: Broker, context: RouteContext): Promise<Response> {
  const asked = await authenticateRequest(broker, context);
  if (!asked.ok) return asked.response;
  const body = await readBody(context.request, actionSearchRequest);
  if (!body.ok) return context.refuse(body.problem);
  const { subject, resource } = body.value;
  return await answerSearch(
    broker,
    context,
    asked,
    'action',
    body.value,
    (facts) => searchActions(facts, subject, resource),
    (name) => ({ name }),
  );
}
