import { type CommandCode, enrollmentLimitText, type ProblemCode } from './reason-codes.ts';
import { askSupport, notOurPage, type ReasonText, tryAgain } from './reason-text.ts';

/** Texts of refused requests and failed commands. Complete by its type. */
export const refusalTexts: Readonly<Record<ProblemCode | CommandCode, ReasonText>> = {
  json_malformed: {
    administrator: 'The body is not JSON in UTF-8, or an object in it names a member twice.',
    person: askSupport,
  },
  field_invalid: {
    administrator: 'A field is missing or wrong; the problem document names it.',
    person: askSupport,
  },
  body_too_large: {
    administrator: 'The body is larger than this endpoint accepts.',
    person: askSupport,
  },
  content_type_unsupported: {
    administrator: 'Send the body as application/json.',
    person: askSupport,
  },
  not_found: {
    administrator: 'There is nothing at this address.',
    person: askSupport,
  },
  method_not_allowed: {
    administrator: 'This address does not take this method; see the Allow header.',
    person: askSupport,
  },
  client_authentication_failed: {
    administrator:
      'The client id is unknown, or its secret or assertion is wrong. The log says which.',
    person: askSupport,
  },
  admin_authentication_failed: {
    administrator:
      'The admin API needs `Authorization: Bearer` with the owner token from the data folder.',
    person: askSupport,
  },
  client_unknown: {
    administrator: 'No client with this id is registered.',
    person: askSupport,
  },
  origin_not_registered: {
    administrator: "The request's Origin is absent, opaque, or not registered for this client.",
    person: notOurPage,
  },
  rate_limited: {
    administrator: 'Too many refused requests in a short time; see Retry-After.',
    person: 'Too many attempts. Wait a minute and try again.',
  },
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
  certificate_not_found: {
    administrator: 'The device has no certificate with this fingerprint.',
    person: askSupport,
  },
  device_not_found: {
    administrator: 'No device with this id exists.',
    person: askSupport,
  },
  application_not_found: {
    administrator:
      'A client names an application that does not exist; create the application first.',
    person: askSupport,
  },
  user_not_found: {
    administrator:
      'No user with this id has ever signed in with a bound certificate or was changed by an administrator. Ids are compared character by character.',
    person: askSupport,
  },
  job_not_found: {
    administrator: 'No job with this id exists.',
    person: askSupport,
  },
  snapshot_unavailable: {
    administrator: 'Policy and clients could not be read freshly enough, so nothing was decided.',
    person: tryAgain,
  },
  storage_unavailable: {
    administrator:
      'The record could not be written, so nothing was decided or issued. Check the disk of the data folder.',
    person: 'The sign-in service has a problem. Try again in a minute.',
  },
  deployment_mismatch: {
    administrator:
      'The number of shards or the device id key differ from those that this data was created with. Restore the original settings; nothing is served until then.',
    person: 'The sign-in service has a problem. Try again later.',
  },
  configuration_invalid: {
    administrator: 'A required setting of the broker is missing or malformed; its log names it.',
    person: 'The sign-in service has a problem. Try again later.',
  },
  internal_error: {
    administrator:
      'The broker failed in a way it has no code for; its log has the cause under the request id.',
    person: 'The sign-in service has a problem. Try again in a minute.',
  },
  import_incomplete: {
    administrator:
      'An import of this data has begun and not ended, so nothing is served. Import again into a new, empty place.',
    person: 'The sign-in service has a problem. Try again later.',
  },
  import_refused: {
    administrator:
      'This cannot be imported here: something is stored already, or the rows do not fit; nothing of them was stored.',
    person: askSupport,
  },
  mtls_not_enabled: {
    administrator: 'This broker has no mTLS URL, so it gives no mTLS evidence.',
    person: askSupport,
  },
  mtls_wrong_host: {
    administrator: "mTLS evidence is given at the broker's mTLS URL alone.",
    person: askSupport,
  },
  mtls_challenge_invalid: {
    administrator: 'The challenge is none of this broker; the detail says why.',
    person: notOurPage,
  },
  mtls_challenge_expired: {
    administrator: 'The challenge has expired; a page asks for a new one with each attempt.',
    person: tryAgain,
  },
  mtls_certificate_missing: {
    administrator:
      'The browser presented no certificate: it has none of this issuer, or its policy does not select one for the mTLS URL.',
    person: 'This browser has no certificate of a company device. Ask your IT support.',
  },
  mtls_certificate_not_verified: {
    administrator:
      'The TLS front did not verify the certificate, or says that it is revoked; the log has its words.',
    person: askSupport,
  },
  mtls_certificate_foreign: {
    administrator:
      'The certificate is no device certificate of this broker: another issuer, another form, or changed.',
    person: askSupport,
  },
  mtls_certificate_not_yet_valid: {
    administrator: "The certificate is not valid yet by the broker's clock.",
    person: askSupport,
  },
  mtls_certificate_expired: {
    administrator: "The certificate has expired by the broker's clock. The device needs a new one.",
    person: "This device's certificate has expired. Ask your IT support.",
  },

  usage_invalid: {
    administrator: 'The command line is wrong; `countersign --help` shows the commands.',
    person: askSupport,
  },
  broker_url_invalid: {
    administrator:
      "The broker's URL must be https (http only for loopback), without path, query or user.",
    person: askSupport,
  },
  broker_answer_malformed: {
    administrator:
      'The broker answered something that this version does not understand. Check the URL and the versions.',
    person: askSupport,
  },
  broker_root_mismatch: {
    administrator: "The broker's root certificate is not the one that the host configuration pins.",
    person: askSupport,
  },
  already_enrolled_elsewhere: {
    administrator: 'This device is enrolled with another broker. Remove that enrollment first.',
    person: askSupport,
  },
  hardware_id_unavailable: {
    administrator:
      'No hardware id could be read: on Linux only root may read it. Set "hardware_id" in the host configuration.',
    person: askSupport,
  },
  state_unwritable: {
    administrator: "The host's state folder cannot be written or is readable by others.",
    person: askSupport,
  },
  keystore_module_missing: {
    administrator:
      'The PKCS#11 module is not there. Install it, or correct keystore.module in the host configuration.',
    person: askSupport,
  },
  keystore_module_invalid: {
    administrator:
      'keystore.module is not a PKCS#11 module that can be loaded here: another kind of file, or for another machine.',
    person: askSupport,
  },
  keystore_module_failed: {
    administrator:
      'The PKCS#11 module answered with an error; the detail names call and answer. Look into its own log.',
    person: askSupport,
  },
  keystore_token_missing: {
    administrator:
      'The PKCS#11 module has no token with the label of keystore.token_label. Connect or initialize the token.',
    person: askSupport,
  },
  keystore_token_ambiguous: {
    administrator:
      'Several tokens have the label of keystore.token_label. Give the right one a label of its own.',
    person: askSupport,
  },
  keystore_token_unsuitable: {
    administrator:
      'The token cannot hold the key: no P-256 with ECDSA, not writable, or keys that could be taken out of it.',
    person: askSupport,
  },
  keystore_pin_unreadable: {
    administrator:
      'The file of keystore.pin_file is missing, empty, or readable by others: owner alone, mode 0600, folder 0700.',
    person: askSupport,
  },
  keystore_pin_wrong: {
    administrator:
      'The token refused the PIN. It is not tried again before the file of keystore.pin_file is written anew.',
    person: askSupport,
  },
  keystore_pin_locked: {
    administrator:
      "The token's PIN is locked, or the next wrong one would lock it. Unlock it with the token's own tool.",
    person: askSupport,
  },
  keystore_key_ambiguous: {
    administrator:
      'The token holds several keys with the id of this device. `countersign enroll --replace` makes a new one.',
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
      'The device was enrolled with another TPM, or the TPM with another device, before. After a new mainboard, revoke the device and give it a new hardware id.',
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
  keystore_tpm_missing: {
    administrator:
      'There is no TPM at keystore.device. Turn the TPM on in the firmware, or name another keystore.',
    person: askSupport,
  },
  keystore_tpm_denied: {
    administrator:
      "The TPM, or its device node, does not let this user in. Add the user to the group tss, or give the node to them by a udev rule; a password on the TPM's owner or endorsement hierarchy must be removed.",
    person: askSupport,
  },
  keystore_tpm_locked: {
    administrator:
      'The TPM is locked after too many wrong authorizations. Wait until its lockout time has passed, or end it with `tpm2_dictionarylockout --clear-lockout`.',
    person: 'Wait a while and try again. If it stays like this, ask your support.',
  },
  keystore_tpm_failed: {
    administrator:
      'The TPM answered with an error, or not in time; the detail names command and code.',
    person: askSupport,
  },
  keystore_tpm_unsuitable: {
    administrator: 'The TPM is none of version 2.0 with P-256, ECDSA and SHA-256.',
    person: askSupport,
  },
  keystore_tpm_endorsement_missing: {
    administrator:
      'The TPM has no certificate for its endorsement key that is used here, so that nothing proves that it is a TPM.',
    person: askSupport,
  },
};
