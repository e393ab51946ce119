import { encodeBase64url } from '@countersign/protocol';
import { logStreamInput } from '@countersign/protocol/system-log';
import type { StreamAnswer } from '../../audit/report-object.ts';
import { streamSecretContext } from '../../audit/stream-records.ts';
import { checkOutboundUrl } from '../../integrations/outbound-url.ts';
import { sealSecret } from '../../storage/sealed-secret.ts';
import { askObject } from '../broker.ts';
import { type AdminContext, forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';

/** Streams of the system log to webhooks. */

const random = (bytes: number) => encodeBase64url(crypto.getRandomValues(new Uint8Array(bytes)));

function answerStream(context: AdminContext, answer: StreamAnswer): Response {
  return answer.ok ? Response.json(answer.stream) : context.refuse({ code: answer.code });
}

const createdEvent = 'admin.log_stream.create';

/** `GET /v1/admin/log-streams`. */
export const getLogStreams = forAdmin('log.read', async (broker, context) => {
  const answer = await askObject(() => broker.report().streams());
  return answer.ok
    ? Response.json({ streams: answer.streams })
    : context.refuse({ code: answer.code });
});

/** `POST /v1/admin/log-streams`: the secret that deliveries are signed with is in this answer alone. */
export const postLogStream = forAdmin(
  { permission: 'log.stream', event: createdEvent, recorded: 'with_change' },
  async (broker, context) => {
    const body = await readBody(context.request, logStreamInput);
    if (!body.ok) return context.refuse(body.problem);
    const { name, url, from } = body.value;
    const checked = checkOutboundUrl(url, broker.outboundNetworks);
    if (!checked.ok) {
      return context.refuse({ code: 'field_invalid', field: 'url', detail: checked.detail });
    }
    const streamId = `log_${random(16)}`;
    const secret = `csls_${random(32)}`;
    const sealed = await sealSecret(broker.storedSecretsKey, streamSecretContext(streamId), secret);
    const created = await askObject(() =>
      broker.report().createStream({
        stream_id: streamId,
        name,
        url: checked.url.href,
        sealed_secret: sealed,
        from,
      }),
    );
    if (!created.ok) return context.refuse({ code: created.code });
    // Where the log goes from now on is what a reader of this event asks first.
    const noted = await askObject(() =>
      broker.organization().noteAdminEvent(context.admin.adminId, createdEvent, {
        path: new URL(context.request.url).pathname,
        request_id: context.requestId,
        stream_id: streamId,
        name,
        url: checked.url.href,
      }),
    );
    if (!noted.ok) return context.refuse({ code: noted.code });
    return Response.json({ stream: created.stream, secret }, { status: 201 });
  },
);

/** `DELETE /v1/admin/log-streams/{id}`. */
export const deleteLogStream = forAdmin(
  { permission: 'log.stream', event: 'admin.log_stream.delete' },
  async (broker, context) =>
    answerStream(
      context,
      await askObject(() => broker.report().deleteStream(context.parameter('id'))),
    ),
);

/** `POST /v1/admin/log-streams/{id}/resume`: a paused stream goes on where it was. */
export const postLogStreamResume = forAdmin(
  { permission: 'log.stream', event: 'admin.log_stream.resume' },
  async (broker, context) =>
    answerStream(
      context,
      await askObject(() => broker.report().resumeStream(context.parameter('id'))),
    ),
);

/** `POST /v1/admin/log-streams/{id}/test`. */
export const postLogStreamTest = forAdmin('log.stream', async (broker, context) => {
  const answer = await askObject(() => broker.report().testStream(context.parameter('id')));
  if (!answer.ok) return context.refuse({ code: answer.code });
  if (!('outcome' in answer)) return context.refuse({ code: 'internal_error' });
  const { outcome } = answer;
  return Response.json({
    delivered: outcome.ok,
    detail: outcome.ok ? 'the receiver took it' : outcome.detail,
  });
});
