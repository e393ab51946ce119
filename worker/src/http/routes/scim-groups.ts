import type { GroupEdit } from '../../directory/change-directory-group.ts';
import { type DescribedGroup, describeScimGroup } from '../../scim/describe-resources.ts';
import { listResponse } from '../../scim/discovery.ts';
import { filterCondition, groupColumns } from '../../scim/filter-sql.ts';
import { readGroup, readGroupPatch } from '../../scim/group-steps.ts';
import { isSelected, readListQuery, readSelection, select } from '../../scim/list-query.ts';
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

/** `/scim/v2/Groups`: groups that policies name and integrations are tried with, as those of administrators are. */

const selectionOf = ({ request }: AdminContext) => readSelection(new URL(request.url).searchParams);

function answerGroup(broker: Broker, context: AdminContext, group: DescribedGroup, status = 200) {
  const resource = describeScimGroup(scimBase(broker), group);
  return scimResource(resource, select(resource, selectionOf(context)), status);
}

/** `GET /scim/v2/Groups`. */
export const getScimGroups = forDirectory({}, async (broker, context) => {
  const query = readListQuery(new URL(context.request.url).searchParams);
  if (!query.ok) return context.refuse(query);
  const { filter, startIndex, count, selection } = query.value;
  const condition = filterCondition(filter, groupColumns);
  if (!condition.ok) return context.refuse(condition);
  const asked = { condition: condition.value, startIndex, count };
  const withMembers = isSelected(selection, 'members');
  const listed = await askObject(() =>
    broker.organization().listDirectoryGroups(asked, withMembers),
  );
  if (!listed.ok) return context.refuse({ code: listed.code });
  const { total, items } = listed.page;
  const resources = items.map((group) =>
    select(describeScimGroup(scimBase(broker), group), selection),
  );
  return scimJson(listResponse(resources, total, startIndex));
});

/** `GET /scim/v2/Groups/{id}`. */
export const getScimGroup = forDirectory({}, async (broker, context) => {
  const withMembers = isSelected(selectionOf(context), 'members');
  const id = context.parameter('id');
  const found = await askObject(() => broker.organization().findDirectoryGroup(id, withMembers));
  if (!found.ok) return context.refuse({ code: found.code });
  if (isKnown(context.request, found.group.version)) return new Response(null, { status: 304 });
  return answerGroup(broker, context, found.group);
});

/** `POST /scim/v2/Groups`. Answers of changes leave the members out: there may be a hundred thousand. */
export const postScimGroup = forDirectory(
  { event: 'admin.group.create', recorded: 'with_change' },
  async (broker, context) => {
    const body = await readScimBody(context);
    if (!body.ok) return context.refuse(body.problem);
    const given = readGroup(body.value);
    if (!given.ok) return context.refuse(given);
    const created = await askObject(() =>
      broker.organization().createDirectoryGroup(context.admin.adminId, given.value),
    );
    if (!created.ok) return context.refuse(created);
    await showChange(broker, context, created.value.id, created);
    return answerGroup(broker, context, created.value, 201);
  },
);

async function changeGroup(broker: Broker, context: AdminContext, edit: GroupEdit) {
  const id = context.parameter('id');
  const expected = expectedVersions(context.request);
  const changed = await askObject(() =>
    broker.organization().changeDirectoryGroup(context.admin.adminId, id, edit, expected),
  );
  if (!changed.ok) return context.refuse(changed);
  await showChange(broker, context, id, changed);
  return answerGroup(broker, context, changed.value);
}

const changing = { event: 'admin.group.update', recorded: 'with_change' } as const;

/** `PUT /scim/v2/Groups/{id}`. */
export const putScimGroup = forDirectory(changing, async (broker, context) => {
  const body = await readScimBody(context);
  if (!body.ok) return context.refuse(body.problem);
  const given = readGroup(body.value);
  if (!given.ok) return context.refuse(given);
  return await changeGroup(broker, context, { kind: 'replace', given: given.value });
});

/** `PATCH /scim/v2/Groups/{id}`. */
export const patchScimGroup = forDirectory(changing, async (broker, context) => {
  const body = await readScimBody(context);
  if (!body.ok) return context.refuse(body.problem);
  const steps = readGroupPatch(body.value);
  if (!steps.ok) return context.refuse(steps);
  return await changeGroup(broker, context, { kind: 'patch', steps: steps.value });
});

/** `DELETE /scim/v2/Groups/{id}`. */
export const deleteScimGroup = forDirectory(
  { event: 'admin.group.delete', recorded: 'with_change' },
  async (broker, context) => {
    const id = context.parameter('id');
    const expected = expectedVersions(context.request);
    const removed = await askObject(() =>
      broker.organization().removeDirectoryGroup(context.admin.adminId, id, expected),
    );
    if (!removed.ok) return context.refuse(removed);
    await showChange(broker, context, id, removed);
    return new Response(null, { status: 204 });
  },
);
