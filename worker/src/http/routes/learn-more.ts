import { learnMoreInput } from '@countersign/protocol/learn-more';
import { completeAt, currentSnapshot, showChange } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';

/** The link that people are given with the reason for which a sign-in did not succeed. */

/** `GET /v1/admin/learn-more`. */
export const getLearnMore = forAdmin('mode.read', async (broker, context) => {
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
  const { learnMoreUrl = '', version } = snapshot;
  return Response.json({ learn_more_url: learnMoreUrl, organization_version: version });
});

/** `PUT /v1/admin/learn-more`. */
export const putLearnMore = forAdmin(
  { permission: 'mode.write', event: 'admin.learn_more.update', recorded: 'with_change' },
  async (broker, context) => {
    const body = await readBody(context.request, learnMoreInput);
    if (!body.ok) return context.refuse(body.problem);
    const { learn_more_url } = body.value;
    const changed = await askObject(() =>
      broker.organization().setLearnMore(context.admin.adminId, learn_more_url),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    await showChange(broker, context, 'learn_more', changed);
    return Response.json({
      learn_more_url: changed.value,
      organization_version: changed.version,
      changed: changed.changed,
      complete_at: completeAt(),
    });
  },
);
