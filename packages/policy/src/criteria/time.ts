import { type Weekday, weekdays } from '../policy-document.ts';
import { type Criterion, verdictOf } from './criterion.ts';

type LocalTime = { readonly day: number; readonly minutes: number };

/** Making one costs a hundred times what using it does. There are some 600 time zones, so this cannot grow for ever. */
const formats = new Map<string, Intl.DateTimeFormat>();

/** Day of the week (0 is Monday) and minutes since midnight in a time zone. */
export function localTimeOf(atMs: number, timeZone: string): LocalTime {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    formats.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, value]));
  const name = parts.get('weekday')?.toLowerCase() ?? '';
  return {
    day: weekdays.findIndex((weekday) => name.startsWith(weekday)),
    minutes: Number(parts.get('hour')) * 60 + Number(parts.get('minute')),
  };
}

const minutesOf = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
const two = (part: number) => String(part).padStart(2, '0');

/** When it is, where the condition says. */
export const time: Criterion<'time'> = {
  check: ({ time_zone, days, from, to }, { atMs }) => {
    const { day, minutes } = localTimeOf(atMs, time_zone);
    const [begin, end] = [minutesOf(from), minutesOf(to)];
    const includes = (number: number) => {
      const weekday = weekdays[(number + 7) % 7];
      return weekday !== undefined && days.includes(weekday);
    };
    if (begin < end) return verdictOf(includes(day) && minutes >= begin && minutes < end);
    // Past midnight the window is still that of the day before.
    return verdictOf((minutes >= begin && includes(day)) || (minutes < end && includes(day - 1)));
  },
  seen: ({ atMs }, _zones, { time_zone }) => {
    const { day, minutes } = localTimeOf(atMs, time_zone);
    return `${weekdays[day]} ${two(Math.floor(minutes / 60))}:${two(minutes % 60)} ${time_zone}`;
  },
  wanted: ({ time_zone, days, from, to }) => `${oneDayOf(days)} ${from} to ${to} ${time_zone}`,
};

const oneDayOf = (days: readonly Weekday[]) =>
  days.length === weekdays.length ? 'any day' : days.join(', ');
