import { decisionTexts } from './decision-texts.ts';
import type { ReasonCode } from './reason-codes.ts';
import type { ReasonText } from './reason-text.ts';
import { refusalTexts } from './refusal-texts.ts';

export type { ReasonText } from './reason-text.ts';

/** Both texts of every code. Complete by its type: a code without texts does not compile. */
export const reasonTexts: Readonly<Record<ReasonCode, ReasonText>> = {
  ...decisionTexts,
  ...refusalTexts,
};
