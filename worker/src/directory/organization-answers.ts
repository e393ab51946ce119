import type { ApplicationPolicy, PolicyDocument, UnknownName } from '@countersign/policy';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import type { IntegrationWithCredentials } from './integration-records.ts';
import type { StoredSnapshot } from './organization-snapshot.ts';
import type { TombstoneJob } from './tombstone-job.ts';
import type { UserRow } from './user-records.ts';

/** What the organization's object is told and what it answers. */

/** What must never change under existing data: a mismatch means the wrong settings or the wrong folder. */
export type Deployment = {
  readonly shardCount: number;
  readonly deviceIdKeyFingerprint: string;
};

export type SnapshotAnswer =
  | {
      readonly ok: true;
      readonly version: number;
      readonly snapshot: StoredSnapshot | undefined;
    }
  | { readonly ok: false; readonly code: 'storage_unavailable' }
  | {
      readonly ok: false;
      readonly code: 'deployment_mismatch' | 'import_incomplete';
      readonly detail: string;
    };

export type UserDescription =
  | {
      readonly ok: true;
      readonly user: UserRow;
      readonly boundShards: number;
      readonly jobs: readonly TombstoneJob[];
    }
  | { readonly ok: false; readonly code: 'user_not_found' }
  | StorageUnavailable;

export type JobDescription =
  | { readonly ok: true; readonly job: TombstoneJob }
  | { readonly ok: false; readonly code: 'job_not_found' }
  | StorageUnavailable;

export type IntegrationFound =
  | ({ readonly ok: true } & IntegrationWithCredentials)
  | { readonly ok: false; readonly code: 'integration_not_found' }
  | StorageUnavailable;

/** Policies in place of those in force. */
export type PolicyDrafts = {
  readonly own: Omit<ApplicationPolicy, 'version'> | undefined;
  readonly global: Omit<PolicyDocument, 'version'> | undefined;
};

/** By what a sign-in that is only thought of would be decided, all of one moment. */
export type PolicyForWhatIf =
  | {
      readonly ok: true;
      readonly policy: PolicyDocument;
      /** Those of the user's groups that the policy names. */
      readonly groups: readonly string[];
    }
  | { readonly ok: false; readonly code: 'application_not_found' }
  | { readonly ok: false; readonly code: 'field_invalid'; readonly unknown: UnknownName }
  | StorageUnavailable;
