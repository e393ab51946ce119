import type { DecisionTokenClaims } from '@countersign/protocol/decision-token';
import { parseRowName } from '../audit/decision-receipt.ts';
import type { StandingFacts } from '../device/lost-standing.ts';
import type { ShownRow, ShownSignIn } from '../device/shown-sign-in.ts';
import { type ConfiguredIssuer, trustedIssuers } from '../directory/issuer-choice.ts';
import type { OrganizationSnapshot } from '../directory/organization-snapshot.ts';
import { integrationStandings } from '../policy/integration-standing.ts';
import type { StorageUnavailable } from '../storage/durable-store.ts';

export type FoundSignIn =
  | { readonly ok: true; readonly shown: ShownSignIn | undefined }
  | StorageUnavailable;

export type ShownContext = {
  readonly shardCount: number;
  /** All that are configured; which of them count follows from the snapshot. */
  readonly issuers: ReadonlyArray<Pick<ConfiguredIssuer, 'issuerId'>>;
  readonly findShown: (shard: number, row: ShownRow, facts: StandingFacts) => Promise<FoundSignIn>;
};

/**
 * Asks the shard that has the sign-in of a decision token, which is the one of its certificates, what was recorded and
 * what became of it since. One that is not on record there is `undefined`.
 */
export async function askForSignIn(
  { shardCount, issuers, findShown }: ShownContext,
  snapshot: OrganizationSnapshot,
  { decision_id, jti, sub }: DecisionTokenClaims,
): Promise<FoundSignIn> {
  const place = parseRowName(decision_id);
  // A chain that an import archived has ended before any token that still lives.
  if (place === undefined || place.archivedBy !== undefined || place.shard >= shardCount) {
    return { ok: true, shown: undefined };
  }
  return await findShown(
    place.shard,
    { sequence: place.sequence, tokenId: jti },
    {
      activeIssuerIds: trustedIssuers(issuers, snapshot.issuers).map(({ issuerId }) => issuerId),
      integrations: integrationStandings(snapshot, sub),
    },
  );
}
