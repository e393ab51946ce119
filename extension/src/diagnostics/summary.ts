import type { BrowserFacts } from './browser-facts.ts';
import type { Detail } from './details.ts';
import { longDate } from './finding.ts';

/** What a person may want to know when there is nothing to mend. */
export function summaryOf({ host, applied, lastAnswer, now }: BrowserFacts): readonly Detail[] {
  if (!host.ok || applied === undefined) return [];
  const { certificate } = host.status;
  const rows: Detail[] = [{ label: 'Sign-in pages', value: pageList(applied.origins) }];
  if (certificate !== undefined) {
    const lastDay = longDate(new Date(certificate.not_after));
    rows.push({ label: 'Certificate', value: `until ${lastDay}` });
  }
  const last =
    lastAnswer === undefined || lastAnswer.code !== undefined
      ? 'Not yet'
      : `${dayAndTime(lastAnswer.at, now)}\n${new URL(lastAnswer.origin).host}`;
  rows.push({ label: 'Last proof', value: last });
  return rows;
}

/** Two lines at most. */
function pageList(origins: readonly string[]): string {
  const [first, second, ...others] = origins.map((origin) => new URL(origin).host);
  if (others.length > 0) return `${first}\nand ${others.length + 1} more`;
  return second === undefined ? `${first ?? 'None'}` : `${first}\n${second}`;
}

function dayAndTime(at: Date, now: Date): string {
  const time = at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  return `${longDate(at) === longDate(now) ? 'Today' : longDate(at)}, ${time}`;
}
