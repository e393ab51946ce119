import type { LogEvent } from '@countersign/protocol/system-log';
import { describe, expect, it } from 'vitest';
import { checkpointMessages, eventMessage, frame } from './syslog-message.ts';

const event: LogEvent = {
  uuid: 'A'.repeat(43),
  published: '2026-11-22T00:00:00.000Z',
  eventType: 'user.authentication.authenticate',
  displayMessage: 'Authentication of device via certificate',
  severity: 'INFO',
  outcome: { result: 'SUCCESS', reason: 'device_trusted' },
  actor: { type: 'user', id: 'łukasz' },
  debugContext: { debugData: { device_id: 'dev_1' } },
  record: { chain: '3', sequence: 9 },
};

describe('eventMessage', () => {
  it('is RFC 5424 with the event as JSON in ASCII', () => {
    const message = eventMessage(event, 'broker.example.com');
    const [header, json] = message
      .split(' - ', 3)
      .reduce<[string, string]>(
        ([head], part, index) => (index < 2 ? [`${head} ${part}`.trim(), ''] : [head, part]),
        ['', ''],
      );
    expect(header).toBe(
      '<110>1 2026-11-22T00:00:00.000Z broker.example.com countersign user.authentication.authenticate',
    );
    expect(JSON.parse(json)).toEqual(event);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what is looked for
    expect(message).toMatch(/^[\x00-\x7f]+$/);
  });

  it('warns of what is to be looked at, and cuts a type to what fits', () => {
    const eventType = `admin.${'x'.repeat(40)}.create`;
    const message = eventMessage({ ...event, severity: 'WARN', eventType }, '[::1]');
    expect(message).toMatch(/^<108>1 \S+ \[::1\] countersign - admin\.x{26} - \{/);
  });

  it('has no line of its own from outside', () => {
    const message = eventMessage({ ...event, user: 'a\n<110>1 forged' }, 'b\n c');
    expect(message).not.toContain('\n');
    expect(message).toContain(' bc countersign ');
  });

  it('goes without most debug data where it would be longer than receivers take', () => {
    const debugData = Object.fromEntries(
      Array.from({ length: 30 }, (_, index) => [`text_${index}`, 'é'.repeat(512)]),
    );
    const message = eventMessage(
      { ...event, debugContext: { debugData: { ...debugData, device_id: 'dev_1' } } },
      'h',
    );
    expect(Buffer.byteLength(message)).toBeLessThan(8192);
    expect(message).toContain('"debugData":{"truncated":"true","device_id":"dev_1"}');
  });
});

it('frames by octets', () => {
  expect(frame('<110>1 é')).toBe('9 <110>1 é');
});

it('sends each checkpoint with its keys', () => {
  const messages = checkpointMessages({ checkpoints: ['a.b.c', 'd.e.f'], keys: [] }, 'h', 0);
  expect(messages).toEqual([
    '<110>1 1970-01-01T00:00:00.000Z h countersign - audit-checkpoint - {"checkpoint":"a.b.c","keys":[]}',
    '<110>1 1970-01-01T00:00:00.000Z h countersign - audit-checkpoint - {"checkpoint":"d.e.f","keys":[]}',
  ]);
});
