import type { changeAnswer } from '@countersign/protocol/admin';
import type * as z from 'zod/mini';
import { rows, type Section, type Shown } from '../command-line/command.ts';

/** What was answered to a change of the organization. */
export function showChange(
  answer: z.infer<typeof changeAnswer>,
  more: readonly Section[] = [],
): Shown {
  const changed = answer.changed ? `yes, everywhere from ${answer.complete_at} on` : 'no';
  return { json: answer, sections: [rows(['id', answer.id], ['changed', changed]), ...more] };
}
