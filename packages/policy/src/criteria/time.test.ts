import { describe, expect, it } from 'vitest';
import { timeCondition } from '../policy-document.ts';
import { goodFacts } from '../testing/facts.ts';
import { localTimeOf, time } from './time.ts';

const at = (...parts: [number, number, number, number, number]) => Date.UTC(...parts);
const check = (condition: object, atMs: number) =>
  time.check(timeCondition.parse(condition), { ...goodFacts, atMs }, []);
const weekdays = { time_zone: 'Europe/Berlin', days: ['mon', 'tue', 'wed', 'thu', 'fri'] };

describe('time', () => {
  it.each([
    // A Monday; Berlin is an hour ahead of UTC in November.
    [{ ...weekdays, from: '08:00', to: '18:00' }, at(2026, 10, 23, 7, 0), 'met'],
    [{ ...weekdays, from: '08:00', to: '18:00' }, at(2026, 10, 23, 6, 59), 'not_met'],
    [{ ...weekdays, from: '08:00', to: '18:00' }, at(2026, 10, 23, 16, 59), 'met'],
    [{ ...weekdays, from: '08:00', to: '18:00' }, at(2026, 10, 23, 17, 0), 'not_met'],
    // Two hours in July.
    [{ ...weekdays, from: '08:00', to: '18:00' }, at(2026, 6, 20, 6, 0), 'met'],
    [{ ...weekdays, from: '08:00', to: '18:00' }, at(2026, 10, 22, 12, 0), 'not_met'],
    // The whole of each day that is named, by the clock there.
    [weekdays, at(2026, 10, 22, 22, 59), 'not_met'],
    [weekdays, at(2026, 10, 22, 23, 0), 'met'],
    // The night from Friday to Saturday belongs to Friday, that from Sunday to Monday to nobody.
    [{ ...weekdays, from: '22:00', to: '06:00' }, at(2026, 10, 20, 21, 0), 'met'],
    [{ ...weekdays, from: '22:00', to: '06:00' }, at(2026, 10, 21, 4, 59), 'met'],
    [{ ...weekdays, from: '22:00', to: '06:00' }, at(2026, 10, 21, 5, 0), 'not_met'],
    [{ ...weekdays, from: '22:00', to: '06:00' }, at(2026, 10, 21, 21, 0), 'not_met'],
    [{ ...weekdays, from: '22:00', to: '06:00' }, at(2026, 10, 23, 4, 0), 'not_met'],
    [{ time_zone: 'UTC' }, at(2026, 10, 22, 3, 0), 'met'],
  ])('%j at %s: %s', (condition, atMs, verdict) => {
    expect(check(condition, atMs)).toBe(verdict);
  });

  it('knows zones that are no whole hours away', () => {
    expect(localTimeOf(at(2026, 10, 22, 18, 15), 'Asia/Kathmandu')).toEqual({ day: 0, minutes: 0 });
  });

  it('says what was wanted and what time it was', () => {
    const condition = timeCondition.parse({ ...weekdays, from: '08:00', to: '18:00' });
    expect(time.wanted(condition)).toBe('mon, tue, wed, thu, fri 08:00 to 18:00 Europe/Berlin');
    expect(time.wanted(timeCondition.parse({ time_zone: 'UTC' }))).toBe(
      'any day 00:00 to 00:00 UTC',
    );
    expect(time.seen(goodFacts, [], condition)).toBe('sun 13:00 Europe/Berlin');
  });

  it.each([
    { time_zone: 'Mars/Base' },
    { time_zone: 'UTC', from: '8:00' },
    { time_zone: 'UTC', to: '24:00' },
    { time_zone: 'UTC', days: [] },
  ])('is not %j', (condition) => {
    expect(timeCondition.safeParse(condition).success).toBe(false);
  });
});
