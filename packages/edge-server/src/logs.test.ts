import { describe, expect, it } from 'vitest';
import { createLog, type LogFormat } from './logs.ts';

const nowMs = Date.UTC(2026, 10, 18, 10, 26, 40);
const clock = new Date(nowMs).toTimeString().slice(0, 8);

function logTo(format: LogFormat) {
  const lines: string[] = [];
  return {
    lines,
    log: createLog(
      (line) => lines.push(line),
      format,
      () => nowMs,
    ),
  };
}

describe('createLog', () => {
  it('writes one JSON object per event', () => {
    const { lines, log } = logTo('json');
    log.write('warning', 'workerd_ended', 'workerd ended\nunexpectedly', { code: 1 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain('\n');
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      time: '2026-11-18T10:26:40.000Z',
      level: 'warning',
      event: 'workerd_ended',
      message: 'workerd ended\nunexpectedly',
      code: 1,
    });
  });

  it('writes a line with the time for a terminal', () => {
    const { lines, log } = logTo('text');
    log.write('info', 'started', 'the broker serves');
    log.write('error', 'failed', 'cannot');
    expect(lines).toEqual([`${clock} the broker serves`, `${clock} error: cannot`]);
  });

  it('lets no output steer a terminal or look like another line', () => {
    const { lines, log } = logTo('text');
    log.passThrough('\u001b[2Jcleared\r\nforged\u009b1m');
    expect(lines).toEqual([`${clock} worker: \\u001b[2Jcleared\\u000d\\u000aforged\\u009b1m`]);
  });

  it("gives the worker's own lines the time, and wraps what is no JSON", () => {
    const { lines, log } = logTo('json');
    log.passThrough('{"event":"enrolled","device":"d1"}');
    log.passThrough('{"event": not JSON}');
    log.passThrough('*** Uncaught exception');
    const time = '2026-11-18T10:26:40.000Z';
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      time,
      source: 'worker',
      event: 'enrolled',
      device: 'd1',
    });
    expect(lines.slice(1).map((line) => JSON.parse(line).message)).toEqual([
      '{"event": not JSON}',
      '*** Uncaught exception',
    ]);
  });

  it('cuts a line of any length', () => {
    const { lines, log } = logTo('json');
    log.passThrough('x'.repeat(1_000_000));
    expect(lines[0]?.length).toBeLessThan(20_000);
  });
});
