import type { ChallengeClaims } from '@countersign/protocol/challenge';
import { NewestEntries } from './newest-entries.ts';

const maxRemembered = 4096;

/**
 * The challenges that this isolate has made lately. A text that is here, letter for letter, is one that we signed, so
 * that it is opened without a verification: a sixth of a sign-in's work where challenge and decision meet the same
 * isolate, as they always do on one machine. Any other text is verified. Nothing depends on what is here: a challenge
 * that was forgotten, or made elsewhere, opens in the same way for the same people.
 */
export class IssuedChallenges {
  readonly #claims = new NewestEntries<ChallengeClaims>(maxRemembered);

  remember(challenge: string, claims: ChallengeClaims): void {
    this.#claims.set(challenge, claims);
  }

  find(unverifiedChallenge: string): ChallengeClaims | undefined {
    return this.#claims.get(unverifiedChallenge);
  }
}
