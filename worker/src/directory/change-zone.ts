import type { ZoneInput } from '@countersign/policy';
import { namesZone } from '../policy/compiled-policies.ts';
import { readApplications } from './organization-records.ts';
import { readVersion } from './organization-settings.ts';
import { readGlobalPolicy } from './policy-records.ts';
import type { Outcome } from './record-change.ts';
import { keepZoneVersion, readZones } from './zone-records.ts';

/** Named networks, as policies name them. Within blocks of the organization. */

/** Of all zones together: every isolate has them all at hand. */
const mostBlocks = 10_000;

/** Creates a zone or gives one its addresses anew. */
export function putZone(
  sql: SqlStorage,
  zoneId: string,
  input: ZoneInput,
): Outcome<undefined> | { readonly ok: false; readonly code: 'zone_limit_reached' } {
  const document = JSON.stringify({ zone_id: zoneId, ...input });
  const zones = readZones(sql);
  const before = zones.find(({ zone_id }) => zone_id === zoneId);
  const others = zones.filter((zone) => zone !== before);
  const blocks = others.reduce((sum, zone) => sum + zone.blocks.length, input.blocks.length);
  if (blocks > mostBlocks) return { ok: false, code: 'zone_limit_reached' };
  if (before !== undefined && JSON.stringify(before) === document) {
    return { ok: true, value: undefined, event: undefined };
  }
  keepZoneVersion(sql, readVersion(sql) + 1, zoneId, before && JSON.stringify(before), document);
  sql.exec(
    `INSERT INTO zones (zone_id, document) VALUES (?, ?)
     ON CONFLICT (zone_id) DO UPDATE SET document = excluded.document`,
    zoneId,
    document,
  );
  return {
    ok: true,
    value: undefined,
    event: {
      event_type: before === undefined ? 'admin.zone.create' : 'admin.zone.update',
      debug_data: {
        zone_id: zoneId,
        on_network: String(input.on_network),
        blocks: input.blocks.join(' ').slice(0, 1000),
      },
    },
  };
}

/** Removes a zone that no policy names: a policy would be another one without it. */
export function removeZone(
  sql: SqlStorage,
  zoneId: string,
):
  | Outcome<undefined>
  | { readonly ok: false; readonly code: 'zone_not_found' }
  | { readonly ok: false; readonly code: 'zone_in_use'; readonly by: string } {
  const zone = readZones(sql).find(({ zone_id }) => zone_id === zoneId);
  if (zone === undefined) return { ok: false, code: 'zone_not_found' };
  for (const { application_id, policy } of readApplications(sql).values()) {
    if (namesZone(policy, zoneId)) return { ok: false, code: 'zone_in_use', by: application_id };
  }
  if (namesZone(readGlobalPolicy(sql).policy, zoneId)) {
    return { ok: false, code: 'zone_in_use', by: 'the global policy' };
  }
  keepZoneVersion(sql, readVersion(sql) + 1, zoneId, JSON.stringify(zone), null);
  sql.exec('DELETE FROM zones WHERE zone_id = ?', zoneId);
  return {
    ok: true,
    value: undefined,
    event: { event_type: 'admin.zone.delete', debug_data: { zone_id: zoneId } },
  };
}
