import { issuerChangeAnswer, issuerList } from '@countersign/protocol/admin-access';
import type * as z from 'zod/mini';
import { askBroker, type BrokerAccess } from '../state/ask-broker.ts';

/** What the broker says of its issuers, and has the organization say of them. */

export type BrokerIssuer = z.infer<typeof issuerList>['issuers'][number];
export type IssuerChange = z.infer<typeof issuerChangeAnswer>;

/** Also how many certificates of each would still count: the progress of a rollover. */
export async function listIssuers(access: BrokerAccess): Promise<readonly BrokerIssuer[]> {
  return (await askBroker(access, issuerList, '/v1/admin/issuers')).issuers;
}

/** New certificates are of this issuer from now on. Again does nothing. */
export async function activateIssuer(
  access: BrokerAccess,
  issuerId: string,
): Promise<IssuerChange> {
  const path = `/v1/admin/issuers/${issuerId}/activate`;
  return await askBroker(access, issuerChangeAnswer, path, {});
}

/**
 * Certificates of this issuer count no more. The broker refuses it for the one that issues, and while certificates of
 * it would count. Again does nothing.
 *
 * @param override those certificates included
 */
export async function retireIssuerAtBroker(
  access: BrokerAccess,
  issuerId: string,
  override: boolean,
): Promise<IssuerChange> {
  const path = `/v1/admin/issuers/${issuerId}/retire`;
  return await askBroker(access, issuerChangeAnswer, path, { override });
}
