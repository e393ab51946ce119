/**
 * Why a certificate is not to be trusted any more (CRLReason, RFC 5280 §5.3.1), as far as an
 * authority for devices has a use for it. Held ones alone can be released.
 */
export type RevocationReason =
  | 'unspecified'
  | 'keyCompromise'
  | 'affiliationChanged'
  | 'superseded'
  | 'cessationOfOperation'
  | 'certificateHold'
  | 'privilegeWithdrawn';

/** Values of the ENUMERATED. */
export const revocationReasonCode: Readonly<Record<RevocationReason, number>> = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  privilegeWithdrawn: 9,
};

const reasons: ReadonlyMap<number, RevocationReason> = /* @__PURE__ */ new Map(
  /* @__PURE__ */ (Object.entries(revocationReasonCode) as [RevocationReason, number][]).map(
    ([reason, code]) => [code, reason],
  ),
);

/** Undefined for codes that are not used here, `removeFromCRL` of delta lists among them. */
export function revocationReasonOf(code: number): RevocationReason | undefined {
  return reasons.get(code);
}
