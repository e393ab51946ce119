import type { UserEdit } from '../../directory/change-directory-user.ts';
import { type DescribedUser, describeScimUser } from '../../scim/describe-resources.ts';
import { listResponse } from '../../scim/discovery.ts';
import { filterCondition, userColumns } from '../../scim/filter-sql.ts';
import { readListQuery, readSelection, type Selection, select } from '../../scim/list-query.ts';
import { readUser, readUserPatch } from '../../scim/user-steps.ts';
import { showChange } from '../answer-change.ts';
import { askObject, type Broker } from '../broker.ts';
import type { AdminContext } from '../for-admin.ts';
import {
  expectedVersions,
  forDirectory,
  isKnown,
  readScimBody,
  scimBase,
  scimJson,
  scimResource,
} from '../scim-exchange.ts';

/** `/scim/v2/Users`. What ends here ends as by `PUT /v1/admin/users/{id}`. */

const selectionOf = ({ request }: AdminContext): Selection =>
  readSelection(new URL(request.url).searchParams);

function answerUser(broker: Broker, context: AdminContext, user: DescribedUser, status = 200) {
  const resource = describeScimUser(scimBase(broker), user);
  return scimResource(resource, select(resource, selectionOf(context)), status);
}

/** `GET /scim/v2/Users`. */
export const getScimUsers = forDirectory({}, async (broker, context) => {
  const query = readListQuery(new URL(context.request.url).searchParams);
  if (!query.ok) return context.refuse(query);
  const { filter, startIndex, count, selection } = query.value;
  const condition = filterCondition(filter, userColumns);
  if (!condition.ok) return context.refuse(condition);
  const asked = { condition: condition.value, startIndex, count };
  const listed = await askObject(() => broker.organization().listDirectoryUsers(asked));
  if (!listed.ok) return context.refuse({ code: listed.code });
  const { total, items } = listed.page;
  const resources = items.map((user) =>
    select(describeScimUser(scimBase(broker), user), selection),
  );
  return scimJson(listResponse(resources, total, startIndex));
});

/** `GET /scim/v2/Users/{id}`. */
export const getScimUser = forDirectory({}, async (broker, context) => {
  const found = await askObject(() =>
    broker.organization().findDirectoryUser(context.parameter('id')),
  );
  if (!found.ok) return context.refuse({ code: found.code });
  if (isKnown(context.request, found.user.user.version)) return new Response(null, { status: 304 });
  return answerUser(broker, context, found.user);
});

/** `POST /scim/v2/Users`. */
export const postScimUser = forDirectory(
  { event: 'admin.user.create', recorded: 'with_change' },
  async (broker, context) => {
    const body = await readScimBody(context);
    if (!body.ok) return context.refuse(body.problem);
    const given = readUser(body.value);
    if (!given.ok) return context.refuse(given);
    const created = await askObject(() =>
      broker.organization().createDirectoryUser(context.admin.adminId, given.value),
    );
    if (!created.ok) return context.refuse(created);
    await showChange(broker, context, created.value.user.scim_id, created);
    return answerUser(broker, context, created.value, 201);
  },
);

async function changeUser(broker: Broker, context: AdminContext, edit: UserEdit) {
  const id = context.parameter('id');
  const expected = expectedVersions(context.request);
  const changed = await askObject(() =>
    broker.organization().changeDirectoryUser(context.admin.adminId, id, edit, expected),
  );
  if (!changed.ok) return context.refuse(changed);
  await showChange(broker, context, id, changed);
  return answerUser(broker, context, changed.value);
}

/** Who leaves is ended in read-only mode, too; the change itself says whether it is that. */
const changing = {
  event: 'admin.user.update',
  recorded: 'with_change',
  whileReadOnly: true,
} as const;

/** `PUT /scim/v2/Users/{id}`. */
export const putScimUser = forDirectory(changing, async (broker, context) => {
  const body = await readScimBody(context);
  if (!body.ok) return context.refuse(body.problem);
  const given = readUser(body.value);
  if (!given.ok) return context.refuse(given);
  return await changeUser(broker, context, { kind: 'replace', given: given.value });
});

/** `PATCH /scim/v2/Users/{id}`. */
export const patchScimUser = forDirectory(changing, async (broker, context) => {
  const body = await readScimBody(context);
  if (!body.ok) return context.refuse(body.problem);
  const steps = readUserPatch(body.value);
  if (!steps.ok) return context.refuse(steps);
  return await changeUser(broker, context, { kind: 'patch', steps: steps.value });
});

/** `DELETE /scim/v2/Users/{id}`. */
export const deleteScimUser = forDirectory(
  { event: 'admin.user.delete', recorded: 'with_change', whileReadOnly: true },
  async (broker, context) => {
    const id = context.parameter('id');
    const expected = expectedVersions(context.request);
    const removed = await askObject(() =>
      broker.organization().removeDirectoryUser(context.admin.adminId, id, expected),
    );
    if (!removed.ok) return context.refuse(removed);
    await showChange(broker, context, id, removed);
    return new Response(null, { status: 204 });
  },
);
