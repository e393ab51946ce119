import type { Posture } from '@countersign/protocol/device-response';
import type { PostureSwitches } from '@countersign/protocol/posture';
import { keepPosture, type MeasuredPosture, readKeptPosture } from './kept-posture.ts';
import { readPosture } from './read-posture.ts';

/**
 * What a sign-in says of the device. Looking takes programs that take their time, so it is done after an answer and by
 * the task that renews, and kept. A sign-in looks by itself only where what was kept is too old to be said: after a night,
 * say. The person then waits for it, and is not turned away for what nobody has looked at.
 */

/** What was measured longer ago is not said any more. */
export const maxPostureAgeSeconds = 3_600;
/** What was measured longer ago is measured again after an answer. */
const measureAgainAfterSeconds = 600;

export type Measure = () => Promise<PostureSwitches>;

const measureMachine: Measure = async () => {
  const { measurePosture } = await import('./measure-posture.ts');
  return await measurePosture();
};

/** Measures now and keeps it. */
export async function measureAndKeepPosture(
  stateDirectory: string,
  nowSeconds: number,
  measure: Measure = measureMachine,
): Promise<MeasuredPosture> {
  const measured = { measured_at: nowSeconds, ...(await measure()) };
  keepPosture(stateDirectory, measured);
  return measured;
}

/** What a sign-in says now. */
export async function currentPosture(
  stateDirectory: string,
  nowSeconds: number,
  measure: Measure = measureMachine,
): Promise<Posture> {
  const kept = readKeptPosture(stateDirectory, nowSeconds);
  const measured =
    kept !== undefined && nowSeconds - kept.measured_at <= maxPostureAgeSeconds
      ? kept
      : await measureAndKeepPosture(stateDirectory, nowSeconds, measure);
  return { ...readPosture(), ...measured };
}

/** After an answer, so that no sign-in waits for it. */
export async function measurePostureIfDue(
  stateDirectory: string,
  nowSeconds: number,
  measure: Measure = measureMachine,
): Promise<void> {
  const kept = readKeptPosture(stateDirectory, nowSeconds);
  if (kept !== undefined && nowSeconds - kept.measured_at <= measureAgainAfterSeconds) return;
  await measureAndKeepPosture(stateDirectory, nowSeconds, measure);
}
