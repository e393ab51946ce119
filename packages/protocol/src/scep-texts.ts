import type { ProblemCode } from './reason-codes.ts';
import { askSupport, type ReasonText } from './reason-text.ts';

/** Texts of what SCEP refuses. Devices see little of them; they are written for the log. */
export const scepTexts = {
  scep_not_enabled: {
    administrator:
      'Nothing is enrolled by SCEP here: the broker has no key for it, no integration has this id, or it is switched off for that integration.',
    person: askSupport,
  },
  scep_operation_unknown: {
    administrator:
      'The SCEP operation is not known here. GetCACaps, GetCACert and PKIOperation are; a message comes as the body of a POST or in the parameter message.',
    person: askSupport,
  },
  scep_message_malformed: {
    administrator:
      'The body is not a SCEP message: signed data of one signer with messageType, transactionID and senderNonce.',
    person: askSupport,
  },
  scep_message_type_not_allowed: {
    administrator:
      'Only PKCSReq and RenewalReq are served by SCEP. The detail names the type that was sent.',
    person: askSupport,
  },
  scep_algorithm_not_allowed: {
    administrator:
      'The SCEP message uses an algorithm that is refused: SHA-1, MD5, DES or triple DES, or a key that answers cannot be encrypted to. SHA-256, AES and RSA with 2048 bits are served.',
    person: askSupport,
  },
  scep_signature_invalid: {
    administrator: 'The SCEP message was not signed by the key of the certificate in it.',
    person: askSupport,
  },
  scep_signer_mismatch: {
    administrator:
      'The SCEP message was signed by a key that it may not be signed by: a request for a new certificate by the key in it, a renewal by the key of a certificate of the same device.',
    person: askSupport,
  },
  scep_request_invalid: {
    administrator:
      'What the SCEP message encloses is no certificate signing request that could be opened, read and verified.',
    person: askSupport,
  },
  scep_challenge_invalid: {
    administrator:
      'The SCEP request has no challenge, or one that was not given out for this integration.',
    person: askSupport,
  },
  scep_challenge_spent: {
    administrator: 'The SCEP challenge was used with another key already. Each is good for one.',
    person: askSupport,
  },
  scep_challenge_expired: {
    administrator:
      'The SCEP challenge has expired. The device management asks for another one when it installs the profile again.',
    person: askSupport,
  },
  scep_challenge_wrong_device: {
    administrator:
      'The SCEP challenge was given out for another device than the one that the request names.',
    person: askSupport,
  },
  scep_device_unnamed: {
    administrator:
      'Neither the SCEP challenge nor the request names the device. Have the profile put the serial number into the subject.',
    person: askSupport,
  },
  scep_transaction_reused: {
    administrator: 'The SCEP transaction id was used with another key before.',
    person: askSupport,
  },
} satisfies Partial<Record<ProblemCode, ReasonText>>;
