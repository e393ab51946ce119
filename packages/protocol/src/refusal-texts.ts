import { administrationTexts } from './administration-texts.ts';
import { enrollmentTexts } from './enrollment-texts.ts';
import { integrationTexts } from './integration-texts.ts';
import type { DecisionReason, ProblemCode } from './reason-codes.ts';
import { askSupport, notOurPage, type ReasonText, tryAgain } from './reason-text.ts';
import { scepTexts } from './scep-texts.ts';

/** Texts of refused requests. Complete by its type, but for codes that a decision rests on, too. */
export const refusalTexts: Readonly<Record<Exclude<ProblemCode, DecisionReason>, ReasonText>> = {
  ...administrationTexts,
  ...integrationTexts,
  ...enrollmentTexts,
  ...scepTexts,
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
      'The admin API needs `Authorization: Bearer` with the owner token from the data folder, or with the token of an administrator that is neither revoked nor expired.',
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
  enrollment_approval_not_found: {
    administrator: 'No enrollment of this device with this key waits for approval.',
    person: askSupport,
  },
  renewal_certificate_unknown: {
    administrator:
      'No certificate of this device with this fingerprint is on record, so there is nothing to renew.',
    person: askSupport,
  },
  renewal_certificate_revoked: {
    administrator:
      'The certificate is revoked, or its user was: it is not renewed. Enroll the device anew with a new key.',
    person: askSupport,
  },
  renewal_certificate_suspended: {
    administrator: 'The certificate is on hold. Release it, and the device can renew it.',
    person: askSupport,
  },
  renewal_certificate_expired: {
    administrator:
      'The certificate has expired, and an expired one proves nothing. Enroll the device anew.',
    person: askSupport,
  },
  renewal_certificate_superseded: {
    administrator:
      'A newer certificate replaced this one: its key was changed, or the overlap has ended. Renew with the newer one.',
    person: askSupport,
  },
  renewal_key_in_use: {
    administrator:
      'The new key already has a certificate of this device that is not being renewed. Make another key.',
    person: askSupport,
  },
  renewal_limit_reached: {
    administrator:
      'This certificate was renewed so often that 5 of its line still count. Wait until the overlap of the older ones has ended.',
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
    administrator:
      "The certificate has expired by the broker's clock. If the device has a newer one, the browser still uses the old one: quit it, closing its windows is not enough, and start it again. Otherwise the device needs a new one.",
    person:
      "This device's certificate has expired. Quit the browser, do not only close its window, and start it again. If that does not help, ask your IT support.",
  },
};
