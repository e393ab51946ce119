export {
  type AccessFacts,
  type CheckedAccessCriterion,
  type ShownDeviceTrust,
  userSubjectType,
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
