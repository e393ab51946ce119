import { authzenMetadataTyp, type SignedMetadataClaims } from '@countersign/protocol/authzen';
import type { JsonWebKeySet } from '@countersign/protocol/key-set';
import { currentTimeMs } from '../../clock.ts';
import { encodeHeader, signCompactJws } from '../../token/compact-jws.ts';
import type { SigningKeys } from '../../token/token-key.ts';
import type { Broker } from '../broker.ts';
import type { RouteContext } from '../route-context.ts';

/** `GET /v1/key-set`: the broker's keys for hosts, signed under the organization's root. */
export function getKeySet(broker: Broker): Response {
  return Response.json({ key_set: broker.keySet });
}

type PublishedKey = JsonWebKeySet['keys'][number];

const published = (
  { accepted }: SigningKeys,
  purpose: PublishedKey['purpose'],
): readonly PublishedKey[] =>
  [...accepted.values()].map(({ publicJwk, kid }) => ({
    ...publicJwk,
    kid,
    alg: 'ES256',
    use: 'sig',
    purpose,
  }));

/** `GET /.well-known/jwks.json` (RFC 7517): what others than hosts verify with, each key with its purpose. */
export function getJwks({ decisionKeys, auditKeys }: Broker): Response {
  const keys = [...published(decisionKeys, 'decision'), ...published(auditKeys, 'audit')];
  return Response.json({ keys } satisfies JsonWebKeySet);
}

/** By broker, with its key: it is signed once for each. */
const signedMetadata = new WeakMap<Broker, string>();

async function signMetadata(
  broker: Broker,
  metadata: Omit<SignedMetadataClaims, 'iss' | 'iat'>,
): Promise<string> {
  const known = signedMetadata.get(broker);
  if (known !== undefined) return known;
  // The keys of decisions sign nothing but decisions.
  const { active } = broker.auditKeys;
  const header = encodeHeader(authzenMetadataTyp, active.kid);
  const iat = Math.floor(currentTimeMs() / 1000);
  const claims: SignedMetadataClaims = { iss: broker.brokerUrl, iat, ...metadata };
  const signed = await signCompactJws(header, claims, active.privateKey);
  signedMetadata.set(broker, signed);
  return signed;
}

/** `GET /.well-known/authzen-configuration` (AuthZEN Authorization API 1.0, metadata). */
export async function getAuthzenConfiguration(broker: Broker): Promise<Response> {
  const { brokerUrl } = broker;
  const metadata = {
    policy_decision_point: brokerUrl,
    access_evaluation_endpoint: `${brokerUrl}/access/v1/evaluation`,
    access_evaluations_endpoint: `${brokerUrl}/access/v1/evaluations`,
    search_subject_endpoint: `${brokerUrl}/access/v1/search/subject`,
    search_resource_endpoint: `${brokerUrl}/access/v1/search/resource`,
    search_action_endpoint: `${brokerUrl}/access/v1/search/action`,
  };
  // Less than a key is shown after it was exchanged. Each answer has the id of its request, so nobody between keeps it.
  return Response.json(
    { ...metadata, signed_metadata: await signMetadata(broker, metadata) },
    { headers: { 'Cache-Control': 'private, max-age=600' } },
  );
}

/**
 * `GET /healthz`: can the broker decide? Answered from the snapshot that decisions use, so that a mismatch of the
 * deployment shows, and so that strangers who ask without end do not keep the organization's one object busy.
 */
export async function getHealth(broker: Broker, context: RouteContext): Promise<Response> {
  const read = await broker.snapshots.read(currentTimeMs(), context.waitUntil);
  if (!read.ok) return context.refuse({ code: read.code, detail: read.detail });
  return Response.json({ status: 'ok', organization_version: read.snapshot.version });
}
