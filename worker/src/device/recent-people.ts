import * as z from 'zod/mini';

/** An application that is to let people in because of their devices. */
export type RelyingApplication = {
  readonly application: string;
  /** Those that make a device a trusted one there; `undefined` for all. */
  readonly enrollmentStrengths: readonly string[] | undefined;
};

/** Somebody who has signed in, or tried to, and whether one of the devices would be trusted. */
export type RecentPerson = { readonly user: string; readonly trusted: boolean };

const row = z.object({
  user: z.string(),
  application: z.string(),
  trusted: z.union([z.literal(0), z.literal(1)]),
  strength: z.nullable(z.string()),
});

/** Who has signed in to one of these applications since then, of the newest rows of the log. Reads only. */
export function recentPeople(
  sql: SqlStorage,
  applications: readonly RelyingApplication[],
  sinceMs: number,
  mostRows: number,
): RecentPerson[] {
  const asked = new Map(applications.map((each) => [each.application, each]));
  const people = new Map<string, boolean>();
  const rows = sql.exec(
    `SELECT record ->> 'subject' AS user, record ->> 'application' AS application,
       record ->> 'device_trusted' AS trusted, record ->> '$.facts.enrollment_strength' AS strength
     FROM (SELECT record FROM decisions ORDER BY sequence DESC LIMIT ?)
     WHERE record ->> 'opened' = 1 AND record ->> 'recorded_at_ms' >= ?`,
    mostRows,
    sinceMs,
  );
  for (const each of rows) {
    const read = z.safeParse(row, each);
    const wanted = read.success ? asked.get(read.data.application) : undefined;
    if (!read.success || wanted === undefined) continue;
    const { user, trusted, strength } = read.data;
    const isStrongEnough =
      wanted.enrollmentStrengths === undefined ||
      wanted.enrollmentStrengths.some((one) => one === strength);
    people.set(user, (trusted === 1 && isStrongEnough) || people.get(user) === true);
  }
  return [...people].map(([user, trusted]) => ({ user, trusted }));
}
