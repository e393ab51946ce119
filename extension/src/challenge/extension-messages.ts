import { maxChallengeBytes } from '@countersign/protocol/limits';
import * as z from 'zod/mini';

/** Messages inside the extension: content script or popup to background. */
export const extensionMessage = z.discriminatedUnion('type', [
  /** Answered with an `AttestPageReply` of type `answer`. */
  z.strictObject({
    type: z.literal('attest'),
    challenge: z.string().check(z.maxLength(maxChallengeBytes)),
  }),
  /** From the popup: look at policy and host again. Answered with `true` when that is done. */
  z.strictObject({ type: z.literal('synchronize') }),
]);
export type ExtensionMessage = z.infer<typeof extensionMessage>;
