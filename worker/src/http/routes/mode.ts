import { modeInput } from '@countersign/protocol/admin-access';
import type { Mode } from '../../directory/change-mode.ts';
import { showChange } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';

const answerMode = ({ readOnlySeconds, requireKnownUsers }: Mode, version: number) =>
  Response.json({
    read_only: readOnlySeconds !== undefined,
    ...(readOnlySeconds === undefined ? {} : { retry_after_seconds: readOnlySeconds }),
    require_known_users: requireKnownUsers,
    organization_version: version,
  });

/** `GET /v1/admin/mode`. */
export const getMode = forAdmin('mode.read', async (broker, context) => {
  const read = await askObject(() => broker.organization().mode());
  return read.ok ? answerMode(read.mode, read.version) : context.refuse({ code: read.code });
});

/** `PUT /v1/admin/mode`. */
export const putMode = forAdmin(
  {
    permission: 'mode.write',
    event: 'admin.mode.update',
    recorded: 'with_change',
    whileReadOnly: true,
  },
  async (broker, context) => {
    const body = await readBody(context.request, modeInput);
    if (!body.ok) return context.refuse(body.problem);
    const changed = await askObject(() =>
      broker.organization().setMode(context.admin.adminId, body.value),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    await showChange(broker, context, 'mode', changed);
    return answerMode(changed.value, changed.version);
  },
);
