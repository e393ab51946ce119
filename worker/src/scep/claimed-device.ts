import type { HardwareId } from '@countersign/protocol/enrollment';
import type { RequestClaims } from '@countersign/x509/cms';
import { normalizeHardwareId } from '../device/hardware-id.ts';
import type { ChallengedDevice } from './scep-records.ts';

const uuid = /^\{?[0-9A-Fa-f]{8}-?([0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\}?$/;
const uuidUri = /^urn:(?:uuid|device:apple:uuid):(.+)$/i;

export type ClaimedDevice =
  | { readonly ok: true; readonly hardwareId: HardwareId }
  | {
      readonly ok: false;
      readonly code: 'scep_device_unnamed' | 'scep_challenge_wrong_device';
      readonly detail: string;
    };

/**
 * Which device a request says that it is of: `serialNumber` in the subject is its serial number, or its UDID when it
 * has the form of one; a UDID may also be the common name, or a `urn:uuid:` or `urn:device:apple:uuid:` URI among the
 * subjectAltNames. Two answers to one question are none.
 */
export function readClaimedDevice(claims: RequestClaims): HardwareId | undefined {
  const serials = new Set(claims.serialNumbers.filter((text) => !uuid.test(text)));
  const uuids = new Set(
    [
      ...claims.serialNumbers,
      ...claims.commonNames,
      ...claims.uris.flatMap((uri) => uuidUri.exec(uri)?.[1] ?? []),
    ]
      .filter((text) => uuid.test(text))
      .map((text) => text.replace(/[{}-]/g, '').toUpperCase()),
  );
  if (serials.size > 1 || uuids.size > 1) return undefined;
  const [serial] = serials;
  const [hardwareUuid] = uuids;
  if (serial === undefined && hardwareUuid === undefined) return undefined;
  return {
    ...(serial === undefined ? {} : { serial_number: serial }),
    ...(hardwareUuid === undefined ? {} : { hardware_uuid: hardwareUuid }),
  };
}

/** Is what both say the same? What only one of them says contradicts nothing. */
function contradict(one: HardwareId, other: HardwareId): boolean {
  const [left, right] = [normalizeHardwareId(one), normalizeHardwareId(other)];
  if (!left.ok || !right.ok) return true;
  return (['serialNumber', 'hardwareUuid'] as const).some((name) => {
    const [a, b] = [left.value[name], right.value[name]];
    return a !== undefined && b !== undefined && a !== b;
  });
}

/**
 * The device that a certificate would be for: the one that the challenge was given out for, and only where that names
 * none the one that the request names, which somebody else has to confirm.
 */
export function decideDevice(
  challenged: ChallengedDevice,
  claimed: HardwareId | undefined,
): ClaimedDevice & { readonly isBound?: boolean } {
  const { serialNumber, hardwareUuid } = challenged;
  if (serialNumber === undefined && hardwareUuid === undefined) {
    return claimed === undefined
      ? {
          ok: false,
          code: 'scep_device_unnamed',
          detail: 'neither challenge nor request names one',
        }
      : { ok: true, hardwareId: claimed, isBound: false };
  }
  const bound: HardwareId = {
    ...(serialNumber === undefined ? {} : { serial_number: serialNumber }),
    ...(hardwareUuid === undefined ? {} : { hardware_uuid: hardwareUuid }),
  };
  return claimed !== undefined && contradict(bound, claimed)
    ? {
        ok: false,
        code: 'scep_challenge_wrong_device',
        detail: 'the request names another device than the challenge is for',
      }
    : { ok: true, hardwareId: bound, isBound: true };
}
