import { type ParsedCertificate, parseCertificate } from '@countersign/x509';
import type { IntegrationRecord } from '../directory/integration-records.ts';
import { issuingIssuer } from '../directory/issuer-choice.ts';
import type { OrganizationSnapshot } from '../directory/organization-snapshot.ts';
import {
  openRegistrationAuthority,
  type RegistrationAuthority,
} from '../scep/registration-authority.ts';
import type {
  IntuneContext,
  IntuneRequest,
  ScepContext,
  ScepRefusal,
} from '../scep/scep-context.ts';
import { askObject, type Broker, integrationObject } from './broker.ts';
import { enrollmentContext } from './enrollment-context.ts';
import { logEvent, type RouteContext } from './route-context.ts';

type Scep = NonNullable<Broker['scep']>;

const opened = new WeakMap<Scep, Promise<RegistrationAuthority>>();

/** The key is imported once for each isolate. */
function authorityOf(scep: Scep): Promise<RegistrationAuthority> {
  let authority = opened.get(scep);
  if (authority === undefined) {
    const certificates = [...scep.certificateByIssuer.values()];
    authority = openRegistrationAuthority({ keyPem: scep.keyPem, certificates });
    opened.set(scep, authority);
  }
  return authority;
}

/** The certificates that a client is to know: of the registration authority, of the issuer in use, of the root. */
export function scepChain(broker: Broker, scep: Scep, snapshot: OrganizationSnapshot) {
  const issuer = issuingIssuer(broker.issuers, snapshot.issuers);
  return {
    authority: scep.certificateByIssuer.get(issuer?.issuerId ?? '') ?? scep.certificate,
    issuer: issuer?.issuerCertificate ?? broker.rootCertificate,
    root: broker.rootCertificate,
  };
}

/** SCEP with the objects of this broker behind it. */
export async function scepContext(
  broker: Broker,
  context: RouteContext,
  scep: Scep,
  integration: IntegrationRecord,
  read: { readonly snapshot: OrganizationSnapshot; readonly nowMs: number },
): Promise<ScepContext> {
  const object = () => integrationObject(broker, integration.integration_id);
  return {
    authority: await authorityOf(scep),
    authorityCertificate: scepChain(broker, scep, read.snapshot).authority,
    enrollment: enrollmentContext(broker, read.snapshot, read.nowMs),
    integration,
    take: (transaction) => askObject(() => object().takeScepTransaction(transaction)),
    keep: (transaction, certificate) =>
      askObject(() => object().keepScepTransaction(transaction, certificate)),
    intune:
      integration.kind === 'intune'
        ? intuneContext(broker, context, integration.integration_id)
        : undefined,
  };
}

/** E_FAIL: Intune's report shows it beside the description. */
const failedHResult = 0x80004005 | 0;

function intuneContext(
  broker: Broker,
  { waitUntil }: RouteContext,
  integrationId: string,
): IntuneContext {
  const object = () => integrationObject(broker, integrationId);
  const requestOf = ({ transactionId, csr }: IntuneRequest) => ({
    transactionId,
    certificationRequest: csr,
  });
  const refusalOf = ({ code, detail, retryAfterSeconds }: ScepRefusal): ScepRefusal => ({
    ok: false,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
  return {
    validate: async (request) => {
      const asked = await askObject(() =>
        object().validateScepRequest(integrationId, requestOf(request)),
      );
      if (!asked.ok) return refusalOf(asked);
      const { value } = asked;
      if (value.valid) return { ok: true };
      return { ok: false, code: 'scep_challenge_invalid', detail: `Intune: ${value.reason}` };
    },
    confirm: async (request, certificate) => {
      const parsed = parseCertificate(certificate);
      if (!parsed.ok) return { ok: false, code: 'internal_error', detail: parsed.detail };
      const issued = { ...requestOf(request), ...(await describeForIntune(parsed.value)) };
      const told = await askObject(() => object().reportScepSuccess(integrationId, issued));
      return told.ok ? { ok: true } : refusalOf(told);
    },
    reportFailure: (request, { code }) => {
      const failed = { ...requestOf(request), hResult: failedHResult, description: code };
      waitUntil(
        askObject(() => object().reportScepFailure(integrationId, failed)).then((told) => {
          if (!told.ok)
            logEvent('intune_not_told', { integration_id: integrationId, code: told.code });
        }),
      );
    },
  };
}

/** SHA-1 is how Intune names certificates; nothing rests on it. */
async function describeForIntune({ der, serialNumber, notAfterMs, issuer }: ParsedCertificate) {
  const thumbprint = new Uint8Array(await crypto.subtle.digest('SHA-1', der));
  return {
    certificateThumbprint: hexOf(thumbprint),
    serialNumber,
    notAfterMs,
    issuerName: issuer.commonName ?? '',
  };
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, '0')).join('');
}
