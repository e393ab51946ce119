import { type NetworkZone, networkZone } from '@countersign/policy';

/** Named networks, by id. A row that does not fit is damage and fails closed. */
export function readZones(sql: SqlStorage): NetworkZone[] {
  return sql
    .exec<{ document: string }>('SELECT document FROM zones ORDER BY zone_id')
    .toArray()
    .map(({ document }) => networkZone.parse(JSON.parse(document)));
}
