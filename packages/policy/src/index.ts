export * from './access/index.ts';
export * from './administration.ts';
export { CompiledPolicy } from './compiled/compiled-policy.ts';
export {
  type CheckedCriterion,
  checkConditions,
  explainConditions,
} from './criteria/index.ts';
export { diffPolicies, type PolicyDifference } from './diff-policies.ts';
export { effectOf, findMatch, idOf, type Match } from './evaluate.ts';
export type { DeviceTrust, PolicyFacts, PostureFacts, Reported, RequestFacts } from './facts.ts';
export {
  effectivePolicy,
  followsGlobal,
  globalRuleId,
  isGlobalRuleId,
  leavesToGlobal,
} from './global-policy.ts';
export { groupsIn } from './groups-in.ts';
export { findingCodes, type PolicyFinding, policyFinding } from './lint/finding.ts';
export {
  earlyTrustFinding,
  failOpenFinding,
  lintBoth,
  lintPolicy,
  type ReportedPosture,
  type Surroundings,
} from './lint/lint-policy.ts';
export {
  type AssertedFactor,
  completedOutcome,
  type Demand,
  evaluatePolicy,
  type FindMatch,
  meetsDemand,
  meetsFactor,
  type PolicyOutcome,
} from './outcome.ts';
export * from './policy-document.ts';
export {
  type FailedTest,
  type PolicyTests,
  policyTests,
  runPolicyTests,
  zonesOfTests,
} from './policy-tests.ts';
export * from './receipt.ts';
export { type RecordedSignIn, recordedFacts } from './recorded-facts.ts';
export {
  explainRecord,
  type Replay,
  type ReplayedOutcome,
  replayDecision,
  traceRecord,
  wasDecidedByPolicy,
  zonesOf,
} from './replay.ts';
export {
  type AssertedByClient,
  requestFacts,
  type SignedByDevice,
  withReport,
} from './request-facts.ts';
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
export type { TracedRule } from './trace-rules.ts';
export { underPolicy } from './under-policy.ts';
export { findUnknownName, type UnknownName } from './unknown-name.ts';
export {
  type HypotheticalSignIn,
  hypotheticalSignIn,
  type WhatIfOutcome,
  whatIf,
  whatIfOutcome,
} from './what-if.ts';
export { cidrBlock, type NetworkZone, networkZone, readAddress, type Zones } from './zones.ts';
