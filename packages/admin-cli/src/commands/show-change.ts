import type { changeAnswer } from '@countersign/protocol/admin';
import type * as z from 'zod/mini';
import { rows, type Section, type Shown } from '../command-line/command.ts';

/** Whether something was changed, and from when on that counts everywhere. */
export const changedRow = ({
  changed,
  complete_at,
}: Pick<z.infer<typeof changeAnswer>, 'changed' | 'complete_at'>) =>
  ['changed', changed ? `yes, everywhere from ${complete_at} on` : 'no'] as const;

/** What was answered to a change of the organization. */
export function showChange(
  answer: z.infer<typeof changeAnswer>,
  more: readonly Section[] = [],
): Shown {
  return { json: answer, sections: [rows(['id', answer.id], changedRow(answer)), ...more] };
}
