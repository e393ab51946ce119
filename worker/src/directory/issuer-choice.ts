import type { IssuerChoice } from './organization-snapshot.ts';

/** An issuer of the settings, as others than its signer know it. */
export type ConfiguredIssuer = {
  /** base64url SHA-256 of the certificate. */
  readonly issuerId: string;
  /** DER. */
  readonly issuerCertificate: Uint8Array;
};

type Identified = Pick<ConfiguredIssuer, 'issuerId'>;

/** Under these, certificates count: all that are configured, but for those that the organization has retired. */
export function trustedIssuers<Issuer extends Identified>(
  issuers: readonly Issuer[],
  { retired }: Pick<IssuerChoice, 'retired'>,
): readonly Issuer[] {
  return issuers.filter(({ issuerId }) => !retired.includes(issuerId));
}

/**
 * The issuer of new certificates; `undefined` when the settings lack the one that the organization has activated, as
 * with an older copy of the keys. No other one takes its place unasked.
 */
export function issuingIssuer<Issuer extends Identified>(
  issuers: readonly Issuer[],
  choice: IssuerChoice,
): Issuer | undefined {
  const trusted = trustedIssuers(issuers, choice);
  const { issuing } = choice;
  return issuing === undefined ? trusted[0] : trusted.find(({ issuerId }) => issuerId === issuing);
}
