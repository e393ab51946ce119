import type { AccessFacts } from '../access-criteria.ts';
import type { StoredEntity } from '../access-document.ts';
import { type EntityFacts, noSources, type SuppliedProperties } from '../properties.ts';

/** An entity that is on record with these properties. */
export const onRecord = (properties: StoredEntity['properties']): EntityFacts => ({
  stored: { type: 'user', id: 'ada', properties },
  supplied: undefined,
  sources: noSources,
});

/** One of which nothing is stored, with what a client says that is the source of these. */
export const saidBy = (
  names: readonly string[],
  supplied: SuppliedProperties | undefined,
): EntityFacts => ({
  stored: undefined,
  supplied,
  sources: new Map(names.map((name) => [name, { overridesStored: false }])),
});

/** Ada reads a page of which everything is known; a test changes what it is about. */
export const goodAccess: AccessFacts = {
  subjectType: 'user',
  subjectId: 'ada',
  action: 'read',
  resourceType: 'document',
  resourceId: 'page',
  groups: new Set(['staff']),
  subject: onRecord({ role: 'editor' }),
  resource: onRecord({ status: 'active' }),
  actionProperties: saidBy(['soft'], { soft: true }),
  deviceTrust: { trusted: true },
};
