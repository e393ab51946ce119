import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addSchedule, hasSchedule, removeSchedule, type SchedulePlace } from './keep-schedule.ts';
import { renderLaunchAgent, renderSystemdUnits } from './render-schedule.ts';

const command = ['/opt/countersign/bin/countersign', 'renew', '--if-due'] as const;
let homeDirectory: string;
let place: SchedulePlace;

beforeEach(() => {
  homeDirectory = mkdtempSync(join(tmpdir(), 'countersign-schedule-'));
  place = { platform: 'linux', homeDirectory };
});
afterEach(() => {
  rmSync(homeDirectory, { recursive: true });
});

describe('the task that renews', () => {
  it('is made, found, made again and removed without a trace of its own', async () => {
    expect(hasSchedule(place)).toBe(false);
    const added = await addSchedule(place, command);
    const folder = join(homeDirectory, '.config', 'systemd', 'user');
    const timer = join(folder, 'countersign-renew.timer');
    const enabled = join(folder, 'timers.target.wants', 'countersign-renew.timer');
    expect(added).toEqual({
      ok: true,
      value: [join(folder, 'countersign-renew.service'), timer, enabled],
    });
    expect(readlinkSync(enabled)).toBe('../countersign-renew.timer');
    expect(readFileSync(enabled, 'utf8')).toBe(readFileSync(timer, 'utf8'));
    expect(hasSchedule(place)).toBe(true);
    expect((await addSchedule(place, command)).ok).toBe(true);
    const removed = await removeSchedule(place);
    expect(removed.ok && removed.value).toHaveLength(3);
    expect(existsSync(timer)).toBe(false);
    expect(hasSchedule(place)).toBe(false);
    expect(await removeSchedule(place)).toEqual({ ok: true, value: [] });
  });

  it('is where the person keeps their configuration', async () => {
    const configHome = join(homeDirectory, 'elsewhere');
    await addSchedule({ ...place, configHome }, command);
    expect(existsSync(join(configHome, 'systemd', 'user', 'countersign-renew.timer'))).toBe(true);
  });

  it('is a launch agent on macOS, and nothing of ours on Windows', async () => {
    const macos: SchedulePlace = { platform: 'darwin', homeDirectory };
    expect((await addSchedule(macos, command)).ok).toBe(true);
    expect(hasSchedule(macos)).toBe(true);
    const windows: SchedulePlace = { platform: 'win32', homeDirectory };
    expect(await addSchedule(windows, command)).toMatchObject({ reason: 'usage_invalid' });
    expect(hasSchedule(windows)).toBeUndefined();
  });

  it('runs at login and daily, and takes words as they are', () => {
    const words = ['/opt/a b/x', '100%', '$HOME', 'say "hi"', 'back\\slash', "it's"] as const;
    const { service, timer } = renderSystemdUnits(words);
    expect(service).toContain(
      String.raw`ExecStart="/opt/a b/x" "100%%" "$$HOME" "say \"hi\"" "back\\slash" "it's"`,
    );
    expect(timer).toContain('OnStartupSec=2min');
    expect(timer).toContain('OnCalendar=daily');
    const agent = renderLaunchAgent(['/opt/x', '<a> & "b"']);
    expect(agent).toContain('<string>&lt;a&gt; &amp; "b"</string>');
    expect(agent).toContain('<key>RunAtLoad</key><true/>');
  });

  it.each([[['relative']], [['/opt/x', 'two\nlines']], [['/opt/x', 'nul\0']]] as const)(
    'is not made of %j',
    (words) => {
      const [program, ...rest] = words;
      expect(() => renderSystemdUnits([program, ...rest])).toThrow(TypeError);
      expect(() => renderLaunchAgent([program, ...rest])).toThrow(TypeError);
    },
  );
});
