import { issuerChangeInput } from '@countersign/protocol/admin-access';
import { parseCertificate } from '@countersign/x509';
import { sumLive } from '../../admin/integration-impact.ts';
import type { IssuerChoice } from '../../directory/organization-snapshot.ts';
import { completeAt, currentSnapshot, showChange } from '../answer-change.ts';
import { askObject, type Broker } from '../broker.ts';
import { countCertificates } from '../count-certificates.ts';
import { type AdminContext, forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';

/** The issuers that the settings have, and what the organization makes of them. */

const firstIssuerId = (broker: Broker) => broker.issuers[0]?.issuerId ?? '';

function standingOf(broker: Broker, { issuing, retired }: IssuerChoice, issuerId: string) {
  if (retired.includes(issuerId)) return 'retired';
  return (issuing ?? firstIssuerId(broker)) === issuerId ? 'issuing' : 'trusted';
}

function describeCertificate(certificate: Uint8Array) {
  const parsed = parseCertificate(certificate);
  // It was checked when the settings were read.
  if (!parsed.ok) throw new TypeError(parsed.detail);
  const { subject, notAfterMs } = parsed.value;
  return { subject: subject.commonName ?? '', not_after: new Date(notAfterMs).toISOString() };
}

/** `GET /v1/admin/issuers`: with the progress of a rollover, the certificates that depend on each. */
export const getIssuers = forAdmin('issuers.read', async (broker, context) => {
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
  const counted = await countCertificates(broker);
  if (!counted.ok) return context.refuse({ code: counted.code });
  return Response.json({
    issuers: broker.issuers.map(({ issuerId, issuerCertificate }) => ({
      issuer_id: issuerId,
      ...describeCertificate(issuerCertificate),
      standing: standingOf(broker, snapshot.issuers, issuerId),
      live_certificates: sumLive(counted.items.filter(({ issuer_id }) => issuer_id === issuerId)),
    })),
  });
});

async function answerChange(
  broker: Broker,
  context: AdminContext,
  issuerId: string,
  changed: {
    readonly value: IssuerChoice;
    readonly version: number;
    readonly changed: boolean;
  },
): Promise<Response> {
  await showChange(broker, context, issuerId, changed);
  return Response.json({
    issuer_id: issuerId,
    standing: standingOf(broker, changed.value, issuerId),
    organization_version: changed.version,
    changed: changed.changed,
    complete_at: completeAt(),
  });
}

const isConfigured = (broker: Broker, id: string) =>
  broker.issuers.some(({ issuerId }) => issuerId === id);

/** `POST /v1/admin/issuers/{id}/activate`: new certificates are of this issuer; the others stay trusted. */
export const postIssuerActivation = forAdmin(
  { permission: 'issuers.write', event: 'admin.issuer.activate', recorded: 'with_change' },
  async (broker, context) => {
    const id = context.parameter('id');
    if (!isConfigured(broker, id)) return context.refuse({ code: 'issuer_not_found' });
    const changed = await askObject(() =>
      broker.organization().activateIssuer(context.admin.adminId, id),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    return await answerChange(broker, context, id, changed);
  },
);

/** `POST /v1/admin/issuers/{id}/retire`: refused while certificates depend on it, unless that is overridden. */
export const postIssuerRetirement = forAdmin(
  {
    permission: 'issuers.write',
    event: 'admin.issuer.retire',
    recorded: 'with_change',
    whileReadOnly: true,
  },
  async (broker, context) => {
    const id = context.parameter('id');
    const body = await readBody(context.request, issuerChangeInput);
    if (!body.ok) return context.refuse(body.problem);
    const { override } = body.value;
    if (!isConfigured(broker, id)) return context.refuse({ code: 'issuer_not_found' });
    const counted = await countCertificates(broker);
    if (!counted.ok) return context.refuse({ code: counted.code });
    const live = sumLive(counted.items.filter(({ issuer_id }) => issuer_id === id));
    if (live > 0 && !override) {
      return context.refuse({
        code: 'issuer_in_use',
        detail: `${live} certificates of it are good. Wait until their devices have renewed, under the other issuer`,
      });
    }
    const changed = await askObject(() =>
      broker
        .organization()
        .retireIssuer(context.admin.adminId, id, firstIssuerId(broker), override),
    );
    if (!changed.ok) {
      return context.refuse(
        changed.code === 'issuer_in_use'
          ? { code: changed.code, detail: changed.detail }
          : { code: changed.code },
      );
    }
    return await answerChange(broker, context, id, changed);
  },
);
