import type { RequestClaims } from '@countersign/x509/cms';
import type { DeviceIdentity } from '../integrations/managed-device.ts';

const uuid = /^\{?[0-9A-Fa-f]{8}-?([0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\}?$/;
const uuidUri = /^urn:(?:uuid|device:apple:uuid):(.+)$/i;

/**
 * Which device a request says that it is of: `serialNumber` in the subject is its serial number, or its UDID when it
 * has the form of one; a UDID may also be the common name, or a `urn:uuid:` or `urn:device:apple:uuid:` URI among the
 * subjectAltNames. Two answers to one question are none.
 */
export function readClaimedDevice(claims: RequestClaims): DeviceIdentity {
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
  if (serials.size > 1 || uuids.size > 1) return {};
  const [serial] = serials;
  const [hardwareUuid] = uuids;
  return {
    ...(serial === undefined ? {} : { serialNumber: serial }),
    ...(hardwareUuid === undefined ? {} : { hardwareUuid }),
  };
}
