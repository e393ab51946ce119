import { type NetworkZone, networkZone } from '@countersign/policy';
import * as z from 'zod/mini';

/** Named networks, by id, and what they were before. A row that does not fit is damage and fails closed. */

export function readZones(sql: SqlStorage): NetworkZone[] {
  return sql
    .exec<{ document: string }>('SELECT document FROM zones ORDER BY zone_id')
    .toArray()
    .map(({ document }) => networkZone.parse(JSON.parse(document)));
}

const zoneVersion = z.object({ zone_id: z.string(), document: z.nullable(z.string()) });

/**
 * Keeps what a change makes of a zone, within its block.
 *
 * @param version of the organization that the change makes
 * @param before its document; `undefined` where there was none
 * @param document `null` where it is removed
 */
export function keepZoneVersion(
  sql: SqlStorage,
  version: number,
  zoneId: string,
  before: string | undefined,
  document: string | null,
): void {
  const keep = (since: number, kept: string | null) =>
    sql.exec(
      `INSERT INTO zone_versions (zone_id, version, document) VALUES (?, ?, ?)
       ON CONFLICT (zone_id, version) DO UPDATE SET document = excluded.document`,
      zoneId,
      since,
      kept,
    );
  const isKnown =
    sql.exec('SELECT 1 FROM zone_versions WHERE zone_id = ? LIMIT 1', zoneId).toArray().length > 0;
  // A zone from before versions were kept: what it is now is the oldest that is known of it.
  if (!isKnown && before !== undefined) keep(0, before);
  keep(version, document);
}

/** The zones as they were when the organization had this version, by id. */
export function readZonesAt(sql: SqlStorage, version: number): NetworkZone[] {
  const kept = z.array(zoneVersion).parse(
    sql
      .exec(
        `SELECT zone_id, document, MAX(version) FROM zone_versions WHERE version <= ?
         GROUP BY zone_id`,
        version,
      )
      .toArray(),
  );
  const withHistory = new Set(
    sql
      .exec<{ zone_id: string }>('SELECT DISTINCT zone_id FROM zone_versions')
      .toArray()
      .map(({ zone_id }) => zone_id),
  );
  const neverChanged = readZones(sql).filter(({ zone_id }) => !withHistory.has(zone_id));
  return [
    ...neverChanged,
    ...kept.flatMap(({ document }) =>
      document === null ? [] : [networkZone.parse(JSON.parse(document))],
    ),
  ].toSorted((one, other) => (one.zone_id < other.zone_id ? -1 : 1));
}
