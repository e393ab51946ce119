/** A measured figure, as a row of the report. */
export type Figure = {
  readonly name: string;
  readonly value: string;
  readonly target: string;
  readonly note: string;
};

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Nearest rank; NaN for no values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

type Results<Measures> = {
  [Name in keyof Measures]: Measures[Name] extends () => Promise<infer Result> ? Result[] : never;
};

/** Runs the measures in turn, A B A B, so that a change of the machine's mood meets all of them. */
export async function alternate<Measures extends Record<string, () => Promise<unknown>>>(
  rounds: number,
  measures: Measures,
): Promise<Results<Measures>> {
  const results = Object.fromEntries(Object.keys(measures).map((name) => [name, [] as unknown[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of Object.entries(measures)) {
      results[name]?.push(await measure());
    }
  }
  // Each list was filled by the measure of its name.
  return results as Results<Measures>;
}

/** The report as a Markdown table. */
export function formatFigures(figures: readonly Figure[]): string {
  return [
    '| figure | measured | target | in numbers |',
    '|---|---|---|---|',
    ...figures.map(
      ({ name, value, target, note }) => `| ${name} | **${value}** | ${target} | ${note} |`,
    ),
  ].join('\n');
}
