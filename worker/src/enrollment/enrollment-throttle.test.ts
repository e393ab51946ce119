import { describe, expect, it } from 'vitest';
import { EnrollmentThrottle } from './enrollment-throttle.ts';

const startMs = 1_800_000_000_000;
const address = '192.0.2.7';
const from = (changes: object = {}) => ({
  address,
  deviceId: undefined,
  secretId: undefined,
  isGuess: true,
  ...changes,
});

function fail(throttle: EnrollmentThrottle, times: number, attempt = from(), nowMs = startMs) {
  return Array.from({ length: times }, () => throttle.noteFailure(attempt, nowMs));
}

describe('wrong tries at enrolling', () => {
  it('close their address for the rest of a minute, after thirty of them', () => {
    const throttle = new EnrollmentThrottle();
    fail(throttle, 29);
    expect(throttle.secondsClosedTo(address, startMs)).toBeUndefined();
    fail(throttle, 1);
    expect(throttle.secondsClosedTo(address, startMs + 20_000)).toBe(40);
    expect(throttle.secondsClosedTo('192.0.2.8', startMs)).toBeUndefined();
    expect(throttle.secondsClosedTo(undefined, startMs)).toBeUndefined();
  });

  it('are forgotten when the minute is over, or the clock goes back', () => {
    const throttle = new EnrollmentThrottle();
    fail(throttle, 30);
    expect(throttle.secondsClosedTo(address, startMs + 60_000)).toBeUndefined();
    fail(throttle, 30);
    expect(throttle.secondsClosedTo(address, startMs - 1)).toBeUndefined();
  });

  it('of one address are only counted, after thirty of them', () => {
    const noted = fail(new EnrollmentThrottle(), 31);
    expect(noted.indexOf(1)).toBe(30);
  });

  it.each(['deviceId', 'secretId'])('for one %s are only counted, after sixty of them', (name) => {
    const throttle = new EnrollmentThrottle();
    const noted = fail(throttle, 61, from({ address: undefined, [name]: 'one' }));
    expect(noted.indexOf(1)).toBe(60);
    expect(throttle.noteFailure(from({ [name]: 'another' }), startMs)).toBe(0);
  });

  it('that permit nothing in any case are counted by themselves, and close nothing', () => {
    const throttle = new EnrollmentThrottle();
    expect(fail(throttle, 32, from({ isGuess: false })).slice(-3)).toEqual([0, 1, 2]);
    expect(throttle.secondsClosedTo(address, startMs)).toBeUndefined();
    expect(throttle.noteFailure(from(), startMs)).toBe(0);
  });

  it('from very many addresses fill no memory', () => {
    const throttle = new EnrollmentThrottle();
    fail(throttle, 30);
    for (let i = 0; i < 10_000; i++) throttle.noteFailure(from({ address: `${i}` }), startMs);
    expect(throttle.secondsClosedTo(address, startMs)).toBeUndefined();
    expect(throttle.noteFailure(from(), startMs)).toBe(0);
  });
});
