import type { CheckpointSet, LogEvent } from '@countersign/protocol/system-log';

/** Messages of syslog (RFC 5424), framed for a stream (RFC 5425). */

/** Facility 13, "log audit"; severities 4, "warning", and 6, "informational" (RFC 5424 section 6.2.1). */
const facility = 13;
const severities = { WARN: 4, INFO: 6 } as const;
/** What every receiver should take (RFC 5425 section 4.3.1), less room for the rest of the message. */
const maxTextBytes = 8192 - 512;

/** Printable ASCII without spaces, of limited length; `-` stands for nothing. */
function headerField(text: string, maxLength: number): string {
  return text.replace(/[^\x21-\x7e]/g, '').slice(0, maxLength) || '-';
}

/** JSON in ASCII alone: what is no ASCII would have to begin with a byte order mark, which parsers of JSON refuse. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** One message with its length before it, in octets (RFC 5425 section 4.3). */
export function frame(message: string): string {
  return `${Buffer.byteLength(message)} ${message}`;
}

type Header = {
  readonly severity: keyof typeof severities;
  /** RFC 3339. */
  readonly timestamp: string;
  readonly hostname: string;
  readonly messageId: string;
};

function messageOf({ severity, timestamp, hostname, messageId }: Header, text: string): string {
  const priority = facility * 8 + severities[severity];
  const host = headerField(hostname, 255);
  return `<${priority}>1 ${timestamp} ${host} countersign - ${headerField(messageId, 32)} - ${text}`;
}

/** An event; one that would be longer than receivers take goes without most of its debug data. */
export function eventMessage(event: LogEvent, hostname: string): string {
  const whole = asciiJson(event);
  const { device_id } = event.debugContext.debugData;
  const short = { truncated: 'true', ...(device_id === undefined ? {} : { device_id }) };
  const text =
    whole.length <= maxTextBytes
      ? whole
      : asciiJson({ ...event, debugContext: { debugData: short } });
  const { severity, published, eventType } = event;
  return messageOf({ severity, timestamp: published, hostname, messageId: eventType }, text);
}

/** A signed checkpoint, with the keys that it verifies with. */
export function checkpointMessages(
  { checkpoints, keys }: CheckpointSet,
  hostname: string,
  nowMs: number,
): string[] {
  const timestamp = new Date(nowMs).toISOString();
  const header = { severity: 'INFO', timestamp, hostname, messageId: 'audit-checkpoint' } as const;
  return checkpoints.map((checkpoint) => messageOf(header, asciiJson({ checkpoint, keys })));
}
