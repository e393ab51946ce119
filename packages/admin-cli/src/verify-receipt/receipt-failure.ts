/** Why a receipt proves nothing. Each names the first check that it does not pass. */
export const receiptFailures = [
  /** The file is no receipt, or was cut. */
  'file_malformed',
  'root_malformed',
  /** The key set beside the receipt: its form, its signer under the root, its signature. */
  'key_set_malformed',
  'key_set_signer_untrusted',
  /** The signer or the root was not valid when the receipt was signed. */
  'key_set_signer_not_valid_then',
  'key_set_signature_invalid',
  'receipt_malformed',
  'receipt_type_wrong',
  'receipt_algorithm_not_allowed',
  /** Its key is none of those that the key set names for receipts. */
  'receipt_key_unknown',
  'receipt_signature_invalid',
  /** Key set and receipt are of two brokers or organizations. */
  'receipt_of_other_broker',
  /** It was signed before its key set was, before what it tells of, or in the future. */
  'receipt_time_wrong',
  /** The record and the hash before it do not give the row's hash. */
  'record_hash_wrong',
  /** The record says that it is another row. */
  'record_foreign',
  /** The policy is missing, is of another version or application, or is not the one whose hash is given. */
  'policy_wrong',
  /** Computed again, the decision is another. */
  'replay_different',
] as const;
export type ReceiptFailure = (typeof receiptFailures)[number];

export type Refused = {
  readonly ok: false;
  readonly failure: ReceiptFailure;
  readonly detail: string;
};

export const refuse = (failure: ReceiptFailure, detail: string): Refused => ({
  ok: false,
  failure,
  detail,
});
