import * as z from 'zod/mini';
import { AccessToken, askWithToken } from '../access-token.ts';
import {
  askMdm,
  askMdmFor,
  type Fetch,
  type MdmResult,
  mdmFailure,
  readMdmAnswer,
} from '../mdm-request.ts';
import { checkOutboundUrl, type OutboundNetwork } from '../outbound-url.ts';
import type { ConnectionUrls } from '../tenant-url.ts';
import { type EntraClient, obtainEntraToken } from './entra-token.ts';

/**
 * Intune's word on a SCEP request (the challenge in it is Intune's own), and what became of it. When any of this
 * fails, nothing is issued.
 */

/** Intune's answer to a validation; everything but `Success` is a refusal. */
const validationAnswer = z.object({
  code: z.string(),
  errorDescription: z.optional(z.nullable(z.string())),
});

const endpoints = z.object({
  value: z.array(z.object({ providerName: z.string(), uri: z.string() })),
});

export type ScepRequest = {
  readonly transactionId: string;
  /** PKCS#10, DER. */
  readonly certificationRequest: Uint8Array;
};

export type ScepIssued = ScepRequest & {
  /** SHA-1, in hexadecimal. */
  readonly certificateThumbprint: string;
  /** In hexadecimal. */
  readonly serialNumber: string;
  readonly notAfterMs: number;
  /** Subject of the issuing authority. */
  readonly issuerName: string;
};

export type ScepFailed = ScepRequest & {
  /** An HRESULT, for Intune's report. */
  readonly hResult: number;
  readonly description: string;
};

export type ScepValidation = {
  /** `reason` of a refusal is Intune's own code, such as `ChallengeExpired`. */
  readonly validateRequest: (
    request: ScepRequest,
  ) => Promise<
    MdmResult<{ readonly valid: true } | { readonly valid: false; readonly reason: string }>
  >;
  readonly successNotification: (issued: ScepIssued) => Promise<MdmResult<undefined>>;
  readonly failureNotification: (failed: ScepFailed) => Promise<MdmResult<undefined>>;
};

export type ScepValidationContext = {
  readonly fetch: Fetch;
  readonly urls: ConnectionUrls;
  readonly secret: string;
  readonly networks: readonly OutboundNetwork[];
  readonly now: () => number;
};

const callerInfo = 'Countersign';
const serviceName = 'ScepRequestValidationFEService';
/** Microsoft Intune, as a service principal of every tenant. */
const intuneApplication = '0000000a-0000-0000-c000-000000000000';
const maxDescription = 255;

function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/**
 * Application permissions: `scep_challenge_provider` of the Intune API, and Application.Read.All of Graph, by which the
 * service is found.
 */
export function scepValidation(
  client: EntraClient,
  context: ScepValidationContext,
): ScepValidation {
  const { fetch, urls, networks, now } = context;
  const graphTokens = new AccessToken();
  const serviceTokens = new AccessToken();
  let service: string | undefined;

  const findService = async (): Promise<MdmResult<string>> => {
    if (service !== undefined) return { ok: true, value: service };
    const graphScope = `${new URL(urls.api).origin}/.default`;
    const url = `${urls.api}/servicePrincipals/appId=${intuneApplication}/endpoints`;
    const found = await askWithToken(
      graphTokens,
      now(),
      () => obtainEntraToken(client, graphScope, context),
      (token) =>
        askMdmFor(fetch, url, { headers: { Authorization: `Bearer ${token}` } }, endpoints, now()),
    );
    if (!found.ok) return found;
    const uri = found.value.value.find(({ providerName }) => providerName === serviceName)?.uri;
    if (uri === undefined) {
      return mdmFailure('answer_malformed', `Graph names no ${serviceName} for this tenant`);
    }
    const checked = checkOutboundUrl(uri, networks);
    if (!checked.ok) {
      return mdmFailure('answer_malformed', `the address of ${serviceName} ${checked.detail}`);
    }
    service = uri.replace(/\/+$/, '');
    return { ok: true, value: service };
  };

  const act = async (action: string, body: object) => {
    const found = await findService();
    if (!found.ok) return found;
    const url = `${found.value}/ScepActions/${action}`;
    // The double slash is part of the resource's name.
    const scope = `${urls.management}//.default`;
    const answer = await askWithToken(
      serviceTokens,
      now(),
      () => obtainEntraToken(client, scope, context),
      async (token) =>
        await askMdm(
          fetch,
          url,
          {
            method: 'POST',
            headers: {
              Authorization: `Bearer ${token}`,
              'Content-Type': 'application/json',
              'api-version': '2018-02-20',
              'client-request-id': crypto.randomUUID(),
            },
            body: JSON.stringify(body),
          },
          now(),
        ),
    );
    // A service that is not there any more may have moved.
    if (!answer.ok || answer.value.status === 404) service = undefined;
    return answer.ok ? readMdmAnswer(url, answer.value, validationAnswer) : answer;
  };

  const notify = async (action: string, notification: object): Promise<MdmResult<undefined>> => {
    const answer = await act(action, { notification });
    if (!answer.ok) return answer;
    return answer.value.code === 'Success'
      ? { ok: true, value: undefined }
      : mdmFailure('refused', `Intune refuses the notification: ${answer.value.code}`);
  };

  return {
    validateRequest: async ({ transactionId, certificationRequest }) => {
      const certificateRequest = base64(certificationRequest);
      const request = { transactionId, certificateRequest, callerInfo };
      const answer = await act('validateRequest', { request });
      if (!answer.ok) return answer;
      const { code } = answer.value;
      return {
        ok: true,
        value: code === 'Success' ? { valid: true } : { valid: false, reason: code },
      };
    },
    successNotification: (issued) =>
      notify('successNotification', {
        transactionId: issued.transactionId,
        certificateRequest: base64(issued.certificationRequest),
        certificateThumbprint: issued.certificateThumbprint,
        certificateSerialNumber: issued.serialNumber,
        certificateExpirationDateUtc: new Date(issued.notAfterMs).toISOString(),
        issuingCertificateAuthority: issued.issuerName,
        callerInfo,
        caConfiguration: '',
        certificateAuthority: '',
      }),
    failureNotification: (failed) =>
      notify('failureNotification', {
        transactionId: failed.transactionId,
        certificateRequest: base64(failed.certificationRequest),
        hResult: failed.hResult,
        errorDescription: failed.description.slice(0, maxDescription),
        callerInfo,
      }),
  };
}
