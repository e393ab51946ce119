import { isInZone, type NetworkZone, readAddress } from '../zones.ts';
import { type Condition, type Criterion, notSaid, oneOf, verdictOf } from './criterion.ts';

type Located = Pick<NetworkZone, 'zone_id' | 'on_network'>;

/** Whether somebody who is in exactly these zones is where the condition wants. */
export function isWantedPlace(
  { location, zones, except_zones }: Condition<'network'>,
  inZones: readonly Located[],
): boolean {
  const isIn = (names: readonly string[]) => inZones.some(({ zone_id }) => names.includes(zone_id));
  const isOn = inZones.some(({ on_network }) => on_network);
  return (
    (location === undefined || (location === 'on_network') === isOn) &&
    (zones === undefined || isIn(zones)) &&
    (except_zones === undefined || !isIn(except_zones))
  );
}

/** Where the person is, by the address that the sign-in server saw. A zone that is no more has no addresses. */
export const network: Criterion<'network'> = {
  check: (condition, { ipAddress }, zones) => {
    const address = ipAddress === undefined ? undefined : readAddress(ipAddress);
    if (address === undefined) return 'unknown';
    return verdictOf(
      isWantedPlace(
        condition,
        zones.filter((zone) => isInZone(zone, address)),
      ),
    );
  },
  seen: ({ ipAddress }, zones) => {
    if (ipAddress === undefined) return notSaid;
    const address = readAddress(ipAddress);
    if (address === undefined) return `${ipAddress}, which is no address`;
    const names = zones.filter((zone) => isInZone(zone, address)).map(({ zone_id }) => zone_id);
    return names.length === 0 ? `${ipAddress}, in no zone` : `${ipAddress}, in ${names.join(', ')}`;
  },
  wanted: ({ location, zones, except_zones }) =>
    [
      ...(location === undefined ? [] : [location.replace('_', ' ')]),
      ...(zones === undefined ? [] : [`in ${oneOf(zones)}`]),
      ...(except_zones === undefined ? [] : [`not in ${except_zones.join(', ')}`]),
    ].join(', '),
};
