import * as z from 'zod/mini';
import type { ObtainedToken } from '../access-token.ts';
import type { MdmContext } from '../mdm-client.ts';
import { askMdm, type MdmResult, mdmFailure, readMdmAnswer } from '../mdm-request.ts';

export type EntraClient = { readonly tenant_id: string; readonly client_id: string };

const tokenAnswer = z.object({
  access_token: z.string().check(z.minLength(1)),
  expires_in: z.number(),
});
const tokenRefusal = z.object({ error: z.string(), error_description: z.optional(z.string()) });

/** A token of the Microsoft identity platform for one resource, with the client's secret. */
export async function obtainEntraToken(
  { tenant_id, client_id }: EntraClient,
  scope: string,
  { fetch, urls, secret, now }: Pick<MdmContext, 'fetch' | 'urls' | 'secret' | 'now'>,
): Promise<MdmResult<ObtainedToken>> {
  const url = `${urls.login}/${encodeURIComponent(tenant_id)}/oauth2/v2.0/token`;
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id,
    client_secret: secret,
    scope,
  }).toString();
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const answer = await askMdm(fetch, url, { method: 'POST', headers, body }, now());
  if (!answer.ok) return answer;
  if (answer.value.status >= 400) {
    const refusal = z.safeParse(tokenRefusal, answer.value.json);
    const cause = refusal.success ? refusal.data.error : `status ${answer.value.status}`;
    return mdmFailure(
      'credentials_refused',
      `Entra refuses the tenant, client or secret: ${cause}`,
    );
  }
  const token = readMdmAnswer(url, answer.value, tokenAnswer);
  if (!token.ok) return token;
  const { access_token, expires_in } = token.value;
  return { ok: true, value: { token: access_token, expiresAtMs: now() + expires_in * 1000 } };
}
