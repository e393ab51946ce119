import { encodeBase64url } from '@countersign/protocol';
import type { HardwareId } from '@countersign/protocol/enrollment';

/**
 * One spelling for each piece of hardware, so that it has one device id and one certificate counter. The serial number
 * names the device where there is a usable one, the hardware UUID otherwise.
 */
export type NormalizedHardwareId = {
  readonly serialNumber: string | undefined;
  readonly hardwareUuid: string | undefined;
  /** The text that the device id is computed from. */
  readonly identity: string;
};

export type HardwareIdResult =
  | { readonly ok: true; readonly value: NormalizedHardwareId }
  | {
      readonly ok: false;
      readonly code: 'hardware_id_invalid' | 'hardware_id_placeholder';
      readonly field: 'hardware_id.serial_number' | 'hardware_id.hardware_uuid';
    };

/** Values that firmware carries when the maker left the field alone; compared without separators. */
const placeholders = new Set([
  '0123456789',
  '1234567890',
  '12345678',
  '123456789',
  'CHASSISSERIALNUMBER',
  'DEFAULT',
  'DEFAULTSTRING',
  'EMPTY',
  'INVALID',
  'NONE',
  'NOTAPPLICABLE',
  'NOTAVAILABLE',
  'NOTSPECIFIED',
  'OEM',
  'SERIALNUMBER',
  'SYSTEMSERIALNUMBER',
  'TOBEFILLEDBYOEM',
  'UNKNOWN',
  'XXXXXXXX',
  '03000200040005000006000700080009',
  'FEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFE',
  '00020003000400050006000700080009',
  'MB1234567890',
  'NA',
  'NULL',
  'SSN12345678901234567',
  'TBD',
]);

type Fact =
  | { readonly kind: 'usable'; readonly text: string }
  | { readonly kind: 'invalid' | 'placeholder' };

/** NFKC folds width and composition; separators and case carry no meaning in serial numbers and UUIDs. */
function normalizeFact(raw: string, pattern: RegExp): Fact {
  const folded = raw.normalize('NFKC').trim();
  // Before the case is folded: upper case makes ASCII of a few letters that are not.
  if (!/^[A-Za-z0-9 ./_:{}-]*$/.test(folded)) return { kind: 'invalid' };
  const text = folded.toUpperCase().replace(/[^A-Z0-9]/g, '');
  if (placeholders.has(text) || /^(.)\1*$/.test(text)) return { kind: 'placeholder' };
  return pattern.test(text) ? { kind: 'usable', text } : { kind: 'invalid' };
}

const serialNumberPattern = /^[A-Z0-9]{4,64}$/;
const hardwareUuidPattern = /^[0-9A-F]{32}$/;

/**
 * Normalizes the facts that a host or an administrator gives. A malformed fact is an error even when the other one
 * would do; a placeholder serial number gives way to a usable UUID.
 */
export function normalizeHardwareId(hardwareId: HardwareId): HardwareIdResult {
  const serial =
    hardwareId.serial_number === undefined
      ? undefined
      : normalizeFact(hardwareId.serial_number, serialNumberPattern);
  const uuid =
    hardwareId.hardware_uuid === undefined
      ? undefined
      : normalizeFact(hardwareId.hardware_uuid, hardwareUuidPattern);
  if (serial?.kind === 'invalid') {
    return { ok: false, code: 'hardware_id_invalid', field: 'hardware_id.serial_number' };
  }
  if (uuid?.kind === 'invalid') {
    return { ok: false, code: 'hardware_id_invalid', field: 'hardware_id.hardware_uuid' };
  }
  const serialNumber = serial?.kind === 'usable' ? serial.text : undefined;
  const hardwareUuid = uuid?.kind === 'usable' ? uuid.text : undefined;
  if (serialNumber !== undefined) {
    return { ok: true, value: { serialNumber, hardwareUuid, identity: `serial:${serialNumber}` } };
  }
  if (hardwareUuid !== undefined) {
    return { ok: true, value: { serialNumber, hardwareUuid, identity: `uuid:${hardwareUuid}` } };
  }
  const field = serial === undefined ? 'hardware_id.hardware_uuid' : 'hardware_id.serial_number';
  return { ok: false, code: 'hardware_id_placeholder', field };
}

const encoder = new TextEncoder();
const deviceIdBytes = 16;

/**
 * The device id: HMAC-SHA-256 of the identity under the deployment's device id key, first 128 bits, base64url. Keyed,
 * so that a certificate does not give a serial number away to whoever tries all of them.
 */
export async function deviceIdOf(identity: string, deviceIdKey: CryptoKey): Promise<string> {
  const mac = await crypto.subtle.sign(
    'HMAC',
    deviceIdKey,
    encoder.encode(`device-id-v1\0${identity}`),
  );
  return encodeBase64url(new Uint8Array(mac).subarray(0, deviceIdBytes));
}

/** Names the device id key without giving it away; stored at creation so that a lost or swapped key is noticed. */
export async function deviceIdKeyFingerprint(deviceIdKey: CryptoKey): Promise<string> {
  const mac = await crypto.subtle.sign('HMAC', deviceIdKey, encoder.encode('fingerprint-v1\0'));
  return encodeBase64url(new Uint8Array(mac).subarray(0, deviceIdBytes));
}
