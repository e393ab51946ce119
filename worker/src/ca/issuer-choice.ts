import type { IssuerSource } from './issuer.ts';

/** What the organization says of its issuers, by their ids. */
export type IssuerStandings = {
  /** Left undefined until one is activated: then the first of the settings issues. */
  readonly issuing: string | undefined;
  readonly retired: readonly string[];
};

type Identified = Pick<IssuerSource, 'issuerId'>;

/** Under these, certificates still count: all that are configured, but for those that the organization has retired. */
export function trustedIssuers<Issuer extends Identified>(
  issuers: readonly Issuer[],
  { retired }: Pick<IssuerStandings, 'retired'>,
): readonly Issuer[] {
  return issuers.filter(({ issuerId }) => !retired.includes(issuerId));
}

/**
 * The issuer of new certificates; `undefined` when the settings lack the one that the organization has activated, as
 * with an older copy of the keys. No other one takes its place unasked.
 */
export function issuingIssuer<Issuer extends Identified>(
  issuers: readonly Issuer[],
  standings: IssuerStandings,
): Issuer | undefined {
  const trusted = trustedIssuers(issuers, standings);
  const { issuing } = standings;
  return issuing === undefined ? trusted[0] : trusted.find(({ issuerId }) => issuerId === issuing);
}
