import type { BrowserFacts } from './browser-facts.ts';
import type { Detail } from './details.ts';
import { longDate } from './finding.ts';

const shownPages = 2;

/** What a person may want to know when there is nothing to mend. */
export function summaryOf({ host, applied, lastAnswer, now }: BrowserFacts): readonly Detail[] {
  if (!host.ok || applied === undefined) return [];
  const { certificate } = host.status;
  const rows: Detail[] = [{ label: 'Sign-in pages', value: pageList(applied.origins) }];
  if (certificate !== undefined) {
    const lastDay = longDate(new Date(certificate.not_after));
    rows.push({ label: 'Certificate', value: `Valid until ${lastDay}` });
  }
  const last =
    lastAnswer === undefined || lastAnswer.code !== undefined
      ? 'Not yet'
      : `${dayAndTime(lastAnswer.at, now)}, for ${new URL(lastAnswer.origin).host}`;
  rows.push({ label: 'Last proof given', value: last });
  return rows;
}

function pageList(origins: readonly string[]): string {
  const hosts = origins.slice(0, shownPages).map((origin) => new URL(origin).host);
  const more = origins.length - hosts.length;
  return more > 0 ? `${hosts.join('\n')}\nand ${more} more` : hosts.join('\n');
}

function dayAndTime(at: Date, now: Date): string {
  const time = at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  return `${longDate(at) === longDate(now) ? 'Today' : longDate(at)}, ${time}`;
}
