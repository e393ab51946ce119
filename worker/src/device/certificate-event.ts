import { encodeBase64url } from '@countersign/protocol';
import type { SystemLogEvent } from '../audit/system-log-event.ts';
import { type CertificateRow, holderOf } from './certificate-records.ts';

const hex = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

type Told = Pick<SystemLogEvent, 'event_type' | 'actor'> & { readonly reason?: string };

/** What happened to a certificate, as the log has it. */
export function certificateEvent(row: CertificateRow, told: Told): SystemLogEvent {
  const holder = holderOf(row);
  return {
    ...told,
    outcome: 'SUCCESS',
    ...(holder === undefined ? {} : { user: holder.userId }),
    certificate: {
      ...(row.certificate_sha256 === null
        ? {}
        : { fingerprint_sha256: encodeBase64url(row.certificate_sha256) }),
      serial_number: hex(row.serial_number),
      issuer_id: row.issuer_id,
      number: row.certificate_number,
    },
    ...(row.integration_id === '' ? {} : { integration_id: row.integration_id }),
    strength: row.enrollment_strength,
    debug_data: {
      device_id: row.device_id,
      profile: row.profile,
      issued_via: row.issued_via,
      lineage: String(row.lineage),
    },
  };
}
