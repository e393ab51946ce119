import { enrollmentLimitText, type ProblemCode } from './reason-codes.ts';
import { askSupport, type ReasonText, tryAgain } from './reason-text.ts';

/** Texts of refused enrollments and renewals. */
export const enrollmentTexts = {
  hardware_id_invalid: {
    administrator:
      'A serial number needs 4 to 64 letters or digits, a hardware UUID 32 hexadecimal digits; between them only spaces and the separators . / _ : { } - are allowed.',
    person: askSupport,
  },
  hardware_id_placeholder: {
    administrator:
      'The hardware id is a value that many machines share ("To be filled by O.E.M.", all zeros). Give the machine an id of its own.',
    person: askSupport,
  },
  hardware_id_duplicate: {
    administrator:
      'A device with the same serial number but another hardware UUID is already on record: two machines share a serial number, or its main board was replaced.',
    person: askSupport,
  },
  enrollment_not_allowed: {
    administrator:
      'The request was permitted in a way that this integration does not take. See its enrollment authority.',
    person: askSupport,
  },
  enrollment_token_invalid: {
    administrator: 'The enrollment token is unknown, or was made for another hardware id.',
    person: askSupport,
  },
  enrollment_token_expired: {
    administrator: 'The enrollment token has expired. Create a new one.',
    person: askSupport,
  },
  enrollment_token_spent: {
    administrator:
      'The enrollment token was already spent: by another key, or on a certificate that has expired since. Create a new one.',
    person: askSupport,
  },
  enrollment_proof_invalid: {
    administrator:
      'The request was not signed with the enrollment secret that the integration has now, or the signature is about another request. After a reset of the secret, deploy the new one.',
    person: askSupport,
  },
  enrollment_secret_unknown: {
    administrator:
      'The enrollment secret belongs to no integration of this organization: it was deleted, or is of another organization.',
    person: askSupport,
  },
  enrollment_clock_skew: {
    administrator:
      "The clock of the device is more than ten minutes away from the broker's. Set it, and try again.",
    person: 'Set the clock of this computer, then try again.',
  },
  enrollment_approval_needed: {
    administrator:
      'The device has a live certificate already and asked for another one with the shared secret alone. Approve the request, or give the device a one-time token.',
    person: askSupport,
  },
  enrollment_throttled: {
    administrator:
      'Too many requests that nothing permitted, from this address, or for this device or secret; see Retry-After.',
    person: 'Too many attempts. Wait a minute and try again.',
  },
  enrollment_user_unknown: {
    administrator: 'The user that the certificate is asked for is not in the directory.',
    person: askSupport,
  },
  enrollment_user_inactive: {
    administrator: 'The user of the certificate is deactivated.',
    person: askSupport,
  },
  read_only: {
    administrator:
      'The broker is in read-only mode: nothing is enrolled, renewed or changed until it ends; sign-ins go on.',
    person: 'The service is being maintained. Try again later; you can go on working.',
  },
  renewal_request_malformed: {
    administrator:
      'The renewal request is not a request signed with a device certificate, or is for another broker.',
    person: askSupport,
  },
  renewal_signature_invalid: {
    administrator: 'The renewal request was not signed by the key of the certificate in it.',
    person: askSupport,
  },
  csr_malformed: {
    administrator: 'The certificate signing request is not strict DER of RFC 2986.',
    person: askSupport,
  },
  csr_signature_invalid: {
    administrator: 'The certificate signing request does not prove possession of its key.',
    person: askSupport,
  },
  csr_key_not_allowed: {
    administrator:
      'The key must be ECDSA P-256, ECDSA P-384 or RSA of 2048 to 4096 bits with exponent 65537, and not a known weak one.',
    person: askSupport,
  },
  key_of_other_device: {
    administrator:
      'This key already belongs to another device. Keys must never be copied; `countersign enroll --replace` makes a new one.',
    person: askSupport,
  },
  key_blocked: {
    administrator:
      'This key was blocked for ever: it was compromised, or its certificate was revoked. `countersign enroll --replace` makes a new one.',
    person: askSupport,
  },
  enrollment_limit_reached: {
    administrator: enrollmentLimitText,
    person: askSupport,
  },
  endorsement_certificate_malformed: {
    administrator:
      'The certificate of the endorsement key, or one of its issuers, is not a certificate that is read here; the detail says why.',
    person: askSupport,
  },
  endorsement_certificate_untrusted: {
    administrator:
      "The TPM's endorsement certificate does not lead to one of the integration's attestation roots, or is not one of an endorsement key. Add the root of the TPM's maker if these TPMs are yours.",
    person: askSupport,
  },
  endorsement_certificate_expired: {
    administrator:
      "The TPM's endorsement certificate, or one of its issuers, is not valid at this time.",
    person: askSupport,
  },
  endorsement_key_mismatch: {
    administrator:
      'The public area is not that of the key in the endorsement certificate, or not that of an endorsement key.',
    person: askSupport,
  },
  endorsement_key_not_allowed: {
    administrator:
      "The TPM's endorsement key is not on the integration's list. Its SHA-256 is in the log: add it if the device is yours.",
    person: askSupport,
  },
  endorsement_key_of_other_device: {
    administrator:
      'This TPM has enrolled another device before, and stands for one alone. Where a mainboard was moved to another device, enroll that with a one-time token.',
    person: askSupport,
  },
  attestation_key_not_allowed: {
    administrator:
      'The attestation key must be a restricted ECDSA P-256 signing key that was made in the TPM and cannot leave it.',
    person: askSupport,
  },
  attestation_malformed: {
    administrator:
      'A structure of the attestation is not one of TPM 2.0; the problem document names the field.',
    person: askSupport,
  },
  attestation_invalid: {
    administrator: 'The attestation was not begun with this broker and this integration.',
    person: askSupport,
  },
  attestation_expired: {
    administrator: 'The attestation was begun more than 5 minutes ago. Begin a new one.',
    person: tryAgain,
  },
  attestation_wrong_device: {
    administrator: 'The attestation was begun for another device.',
    person: askSupport,
  },
  attestation_secret_wrong: {
    administrator: 'The credential was not opened by the TPM that has the endorsement key.',
    person: askSupport,
  },
  attestation_signature_invalid: {
    administrator: 'The certification of the device key is not signed by the attestation key.',
    person: askSupport,
  },
  attestation_wrong_request: {
    administrator:
      'The certification of the device key was made for another certificate signing request.',
    person: askSupport,
  },
  attested_key_mismatch: {
    administrator:
      'The key that the TPM certified is not the one in the certificate signing request.',
    person: askSupport,
  },
  attested_key_not_protected: {
    administrator: 'The device key could leave its TPM, or was not made in it.',
    person: askSupport,
  },
  renewal_needs_attestation: {
    administrator:
      'The certificate was issued for a key that a TPM has attested. A new key needs an attestation of its own: `countersign enroll --replace`.',
    person: askSupport,
  },
} as const satisfies Partial<Record<ProblemCode, ReasonText>>;
