import type { UnavailableCode } from '@countersign/protocol';
import { maxChallengeBytes } from '@countersign/protocol/limits';
import { compactJws } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import type { NativeHost } from '../native-host/native-host.ts';
import type { SenderFacts } from './sender-facts.ts';

export type ChallengeAnswer =
  | { readonly ok: true; readonly response: string }
  | { readonly ok: false; readonly code: UnavailableCode; readonly detail: string };

const challengeForm = compactJws(maxChallengeBytes);

/**
 * Takes a challenge from a page to the host, with the origin that the browser reports. Refused unless the sender is
 * the top frame of an active document whose exact origin, port included, is configured.
 */
export async function answerChallenge(
  unverifiedChallenge: string,
  sender: SenderFacts,
  allowedOrigins: readonly string[],
  host: Pick<NativeHost, 'attest'>,
): Promise<ChallengeAnswer> {
  const { origin, frameId, documentLifecycle } = sender;
  if (frameId !== 0) {
    return refuse('extension_frame_not_allowed', `frame ${frameId}`);
  }
  // A page that is prerendered or kept in the back/forward cache is not the one the person looks at.
  if (documentLifecycle !== undefined && documentLifecycle !== 'active') {
    return refuse('extension_frame_not_allowed', `document is ${documentLifecycle}`);
  }
  if (origin === undefined || !allowedOrigins.includes(origin)) {
    return refuse('extension_origin_not_allowed', `origin ${origin}`);
  }
  if (!z.safeParse(challengeForm, unverifiedChallenge).success) {
    return refuse('challenge_malformed', 'not a compact JWS');
  }
  return host.attest({ challenge: unverifiedChallenge, origin });
}

function refuse(code: UnavailableCode, detail: string): ChallengeAnswer {
  return { ok: false, code, detail };
}
