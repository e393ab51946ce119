/**
 * The broker's clock, milliseconds since the epoch: the one place that reads it. Everything that judges time takes
 * `now` as an argument, so that a test, or a replay of a recorded decision, can say what time it was.
 */
export function currentTimeMs(): number {
  return Date.now();
}
