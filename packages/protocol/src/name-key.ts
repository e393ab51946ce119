/** Of a name that has nothing else, which most have, no table of Unicode has to be asked. */
const isPlain = /^[!-~]*$/;

/** What is not seen: NFKC_Casefold removes it too. */
const ignorable = /\p{Default_Ignorable_Code_Point}/gu;

/**
 * A name as directories compare it: without regard to case (RFC 7643 section 4.1.1), nor to how its letters are put
 * together, their width, or spaces around it. As NFKC_Casefold (UAX #31 section 5.1.3), except that letters are folded
 * by their small letters, one to one: `ß` is not `ss`, and two people whose names differ in that stay two.
 */
export function nameKey(name: string): string {
  if (isPlain.test(name)) return name.toLowerCase();
  const lower = name.normalize('NFKC').toLowerCase().replaceAll('ς', 'σ');
  return lower.replaceAll(ignorable, '').normalize('NFKC').trim();
}
