export type {
  AccessFacts,
  CheckedAccessCriterion,
  ShownDeviceTrust,
} from './access-criteria.ts';
export * from './access-document.ts';
export * from './administration.ts';
export { type AccessOutcome, CompiledAccess, findAccess } from './compiled-access.ts';
export {
  type EntityFacts,
  noSources,
  type PropertyFact,
  type PropertySources,
  propertyOf,
  readValues,
  type SuppliedProperties,
} from './properties.ts';
