import {
  type ApplicationRequest,
  type ClientInput,
  changeAnswer,
  decisionPage,
  deviceAnswer,
  enrollmentTokenAnswer,
} from '@countersign/protocol/admin';
import { challengeAnswer } from '@countersign/protocol/challenge';
import type { HardwareId } from '@countersign/protocol/enrollment';
import { problemDocument } from '@countersign/protocol/problem';
import { parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { StepError } from './report.ts';

/** The parts of a decision's record that are shown. */
const shownRecord = z.object({
  device_id: z.string(),
  certificate_sha256: z.optional(z.string()),
  bound_now: z.boolean(),
  response: z.optional(
    z.object({
      origin: z.string(),
      host_version: z.string(),
      key_protection: z.string(),
      posture: z.object({ platform: z.string(), os_version: z.string() }),
    }),
  ),
});
export type ShownRecord = z.infer<typeof shownRecord>;

/** The broker's public interfaces, as far as the demonstration needs them. */
export function createBrokerClient(brokerUrl: string, ownerToken: string) {
  const call = async <Schema extends z.ZodMiniType>(
    what: string,
    path: string,
    init: RequestInit,
    schema: Schema,
  ): Promise<z.infer<Schema>> => {
    const response = await fetch(`${brokerUrl}${path}`, init);
    const json: unknown = await response.json().catch(() => undefined);
    if (!response.ok) {
      const problem = parseFields(problemDocument, json);
      const { code, field, detail, title } = problem.ok
        ? problem.value
        : { code: `HTTP ${response.status}`, field: undefined, detail: undefined, title: '' };
      const about = [field, detail].filter((part) => part !== undefined).join(' ');
      throw new StepError(`${what}: the broker refused (${code}) ${about}`, title);
    }
    const parsed = parseFields(schema, json);
    if (parsed.ok) return parsed.value;
    throw new StepError(
      `${what}: the broker's answer has a wrong "${parsed.field}" (${parsed.detail})`,
      'Build everything again: remove the folder dist and start again.',
    );
  };
  const admin = (method: string, body?: unknown): RequestInit => ({
    method,
    headers: { Authorization: `Bearer ${ownerToken}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

  return {
    putApplication: (id: string, input: ApplicationRequest) =>
      call('application', `/v1/admin/applications/${id}`, admin('PUT', input), changeAnswer),
    /** Has somebody written rules for the application? Then it is theirs. */
    async hasRules(id: string): Promise<boolean> {
      const path = `/v1/admin/applications/${id}/policy`;
      const response = await fetch(`${brokerUrl}${path}`, admin('GET'));
      if (response.status === 404) return false;
      const policy = parseFields(z.object({ source: z.string() }), await response.json());
      return policy.ok && policy.value.source === 'rules';
    },
    putClient: (id: string, input: ClientInput) =>
      call('client', `/v1/admin/clients/${id}`, admin('PUT', input), changeAnswer),
    createEnrollmentToken: (hardwareId: HardwareId, ttlSeconds: number) =>
      call(
        'enrollment token',
        '/v1/admin/enrollment-tokens',
        admin('POST', { hardware_id: hardwareId, ttl_seconds: ttlSeconds }),
        enrollmentTokenAnswer,
      ),
    device: (deviceId: string) =>
      call('device', `/v1/admin/devices/${deviceId}`, admin('GET'), deviceAnswer),
    /** What a sign-in page does: no preflight, the browser adds the origin. */
    requestChallenge: (clientId: string, transaction: string, origin: string) =>
      call(
        'challenge',
        '/v1/challenges',
        {
          method: 'POST',
          headers: { 'Content-Type': 'text/plain', Origin: origin },
          body: JSON.stringify({ client_id: clientId, transaction }),
        },
        challengeAnswer,
      ),
    /** @param decisionId `<shard>.<sequence>` */
    async decisionRecord(decisionId: string): Promise<ShownRecord> {
      const [shard, sequence] = decisionId.split('.').map(Number);
      const path = `/v1/admin/shards/${shard}/decisions?after=${(sequence ?? 1) - 1}&limit=1`;
      const { decisions } = await call('decision', path, admin('GET'), decisionPage);
      const record = parseFields(shownRecord, JSON.parse(decisions[0]?.record ?? 'null'));
      if (record.ok) return record.value;
      throw new StepError(
        `decision: ${decisionId} is not on record`,
        'Every decision must be; this is a fault of the broker.',
      );
    },
  };
}
export type DemoBrokerClient = ReturnType<typeof createBrokerClient>;
