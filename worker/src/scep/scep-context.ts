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
  readonly keep: (
    transaction: ScepTransaction,
    certificate: Uint8Array,
  ) => Promise<{ readonly ok: true } | ScepRefusal>;
  /** `undefined` where the integration is of another kind. */
  readonly intune: IntuneContext | undefined;
};

export type IntuneRequest = {
  readonly transactionId: string;
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
};

/** Intune gives out challenges of its own, says whether one fits a request, and wants to know what became of it. */
export type IntuneContext = {
  readonly validate: (request: IntuneRequest) => Promise<{ readonly ok: true } | ScepRefusal>;
  /** Without Intune's consent to the certificate, it does not go out. */
  readonly confirm: (
    request: IntuneRequest,
    certificate: Uint8Array,
  ) => Promise<{ readonly ok: true } | ScepRefusal>;
  readonly reportFailure: (request: IntuneRequest, refusal: ScepRefusal) => void;
};
