import type { ProblemCode } from '@countersign/protocol';
import type { IntegrationRecord } from '../directory/integration-records.ts';
import type { EnrollmentContext } from '../enrollment/enrollment-context.ts';
import type { RegistrationAuthority } from './registration-authority.ts';
import type { ScepTransaction, ScepTransactionAnswer } from './scep-records.ts';

export type ScepRefusal = {
  readonly ok: false;
  readonly code: ProblemCode;
  /** For the log alone. */
  readonly detail?: string;
  readonly retryAfterSeconds?: number;
};

/** What SCEP needs of the world beside what enrollment needs. */
export type ScepContext = {
  readonly authority: RegistrationAuthority;
  /** The authority's certificate under the issuer that issues now. */
  readonly authorityCertificate: Uint8Array;
  readonly enrollment: EnrollmentContext;
  readonly integration: IntegrationRecord;
  readonly take: (transaction: ScepTransaction) => Promise<ScepTransactionAnswer | ScepRefusal>;
  readonly keep: (transaction: ScepTransaction, certificate: Uint8Array) => Promise<unknown>;
  /** Intune's word on its own challenge; `undefined` where the integration is of another kind. */
  readonly validateAtIntune:
    | ((request: {
        readonly transactionId: string;
        readonly csr: Uint8Array;
      }) => Promise<{ readonly ok: true } | ScepRefusal>)
    | undefined;
};
