export * from './administration.ts';
export { CompiledPolicy } from './compiled/compiled-policy.ts';
export {
  type CheckedCriterion,
  checkConditions,
  explainConditions,
} from './criteria/index.ts';
export { effectOf, findMatch, idOf, type Match } from './evaluate.ts';
export type { DeviceTrust, PolicyFacts, PostureFacts, Reported, RequestFacts } from './facts.ts';
export {
  failOpenFinding,
  findingCodes,
  lintPolicy,
  type PolicyFinding,
  policyFinding,
} from './lint/lint-policy.ts';
export {
  type AssertedFactor,
  type Demand,
  evaluatePolicy,
  type FindMatch,
  meetsDemand,
  meetsFactor,
  type PolicyOutcome,
} from './outcome.ts';
export * from './policy-document.ts';
export * from './receipt.ts';
export { type RecordedSignIn, recordedFacts } from './recorded-facts.ts';
export {
  explainRecord,
  type Replay,
  type ReplayedOutcome,
  replayDecision,
  wasDecidedByPolicy,
  zonesOf,
} from './replay.ts';
export { type AssertedByClient, requestFacts, type SignedByDevice } from './request-facts.ts';
export {
  addSimulation,
  changeOf,
  countSignIn,
  emptySimulation,
  type PartialSimulation,
  type Simulation,
  simulationOf,
} from './simulate.ts';
export { policyTemplates } from './templates.ts';
export { cidrBlock, type NetworkZone, networkZone, readAddress, type Zones } from './zones.ts';
