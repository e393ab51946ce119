import { decisionTexts } from './decision-texts.ts';
import type { DecisionReason, ProblemCode } from './reason-codes.ts';
import type { ReasonText } from './reason-text.ts';
import { refusalTexts } from './refusal-texts.ts';

/** Both texts of every code that the broker answers with: all but those of commands on a device. */
export const answerTexts: Readonly<Record<DecisionReason | ProblemCode, ReasonText>> = {
  ...decisionTexts,
  ...refusalTexts,
};
