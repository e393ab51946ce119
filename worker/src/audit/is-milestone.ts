/**
 * Is this count of what is not recorded one by one worth an event of its own? 1, 10, 100 …: so the log says that there
 * were more, and about how many, in a handful of rows.
 */
export const isMilestone = (count: number): boolean => /^10*$/.test(String(count));
