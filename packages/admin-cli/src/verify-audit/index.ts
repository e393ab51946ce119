export type { ChainHead, ExportedRow } from './check-chain.ts';
export { describeFinding, type Finding } from './finding.ts';
export type { CheckpointKeys } from './read-checkpoints.ts';
export {
  type AuditInput,
  type AuditReport,
  type ChainReport,
  type ExportedChain,
  verifyAudit,
} from './verify-audit.ts';
