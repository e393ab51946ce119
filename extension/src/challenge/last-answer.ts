import { type UnavailableCode, unavailableCodes } from '@countersign/protocol';
import { parseFields, secureWebOrigin } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import type { BrowserApi } from '../browser-api.ts';
import type { ChallengeAnswer } from './answer-challenge.ts';

/** What became of the last challenge of a page: the popup's only way to know of a wrong clock or a lost key. */
export type LastAnswer = {
  readonly at: Date;
  readonly origin: string;
  /** Absent when the device proved itself. What the broker made of it is not known here. */
  readonly code?: UnavailableCode | undefined;
};

const storageKey = 'last_answer';
const lastAnswerSchema = z.object({
  at: z.iso.datetime(),
  origin: secureWebOrigin,
  code: z.optional(z.enum(unavailableCodes)),
});

/** `undefined` when no page has asked yet, or when what is stored cannot be read. */
export async function readLastAnswer(
  storage: Pick<BrowserApi['storage'], 'local'>,
): Promise<LastAnswer | undefined> {
  const items = await storage.local.get(storageKey);
  const parsed = parseFields(lastAnswerSchema, items[storageKey]);
  return parsed.ok ? { ...parsed.value, at: new Date(parsed.value.at) } : undefined;
}

/** Keeps the outcome alone: neither challenge nor response. */
export async function writeLastAnswer(
  storage: Pick<BrowserApi['storage'], 'local'>,
  answer: ChallengeAnswer,
  origin: string,
  at: Date,
): Promise<void> {
  const code = answer.ok ? {} : { code: answer.code };
  await storage.local.set({ [storageKey]: { at: at.toISOString(), origin, ...code } });
}
