import { answerTexts } from './answer-texts.ts';
import { commandTexts } from './command-texts.ts';
import type { ReasonCode } from './reason-codes.ts';
import type { ReasonText } from './reason-text.ts';

export type { ReasonText } from './reason-text.ts';

/** Both texts of every code. Complete by its type: a code without texts does not compile. */
export const reasonTexts: Readonly<Record<ReasonCode, ReasonText>> = {
  ...answerTexts,
  ...commandTexts,
};
