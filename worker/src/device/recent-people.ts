import * as z from 'zod/mini';

/** Somebody who has signed in, or tried to, and whether one of the devices was trusted. */
export type RecentPerson = { readonly user: string; readonly trusted: boolean };

/** Some milliseconds: a look at the newest is enough to know how far a rollout has come. */
const mostRows = 2000;

const row = z.object({
  user: z.string(),
  application: z.string(),
  trusted: z.union([z.literal(0), z.literal(1)]),
});

/** Who has signed in to one of these applications since then, of the newest rows. Reads only. */
export function recentPeople(
  sql: SqlStorage,
  applications: readonly string[],
  sinceMs: number,
): RecentPerson[] {
  const asked = new Set(applications);
  const people = new Map<string, boolean>();
  const rows = sql.exec(
    `SELECT record ->> 'subject' AS user, record ->> 'application' AS application,
       record ->> 'device_trusted' AS trusted
     FROM (SELECT record FROM decisions ORDER BY sequence DESC LIMIT ?)
     WHERE record ->> 'opened' = 1 AND record ->> 'recorded_at_ms' >= ?`,
    mostRows,
    sinceMs,
  );
  for (const each of rows) {
    const { user, application, trusted } = row.parse(each);
    if (asked.has(application)) people.set(user, trusted === 1 || people.get(user) === true);
  }
  return [...people].map(([user, trusted]) => ({ user, trusted }));
}
