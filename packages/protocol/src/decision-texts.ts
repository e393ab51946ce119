import { originTexts } from './origin-texts.ts';
import type { DecisionReason } from './reason-codes.ts';
import { askSupport, notOurPage, type ReasonText, restart, tryAgain } from './reason-text.ts';

/** Texts of everything that a decision can rest on. Complete by its type. */
export const decisionTexts: Readonly<Record<DecisionReason, ReasonText>> = {
  ...originTexts,
  trusted_device: {
    administrator: 'The device proved a certificate in good standing and the policy allows it.',
    person: 'This device is managed by your company.',
  },
  monitor_only: {
    administrator:
      'The policy would have denied this sign-in or asked for a factor; the application only monitors, so it was allowed and recorded.',
    person:
      'You are signed in. Your company will soon ask for more here than this sign-in has shown.',
  },

  policy_allowed: {
    administrator: 'A rule of the policy allows this sign-in without a trusted device.',
    person: 'You are signed in.',
  },
  access_allowed: {
    administrator: 'A rule of the application allows this action.',
    person: 'You may do this.',
  },
  step_up_completed: {
    administrator:
      'A rule of the policy asks for a further factor, and the sign-in server says that it was given.',
    person: 'You are signed in.',
  },

  extension_not_installed: {
    administrator:
      'No extension answered on the page: it is not installed in this browser, or the page is not among its origins.',
    person:
      'This browser cannot prove that the device is managed. Use your work browser on your work computer.',
  },
  extension_timeout: {
    administrator: 'The extension took the challenge and gave no answer in time.',
    person: tryAgain,
  },
  extension_error: {
    administrator:
      'The extension failed in a way it has no code for, was updated while the page waited, or had four challenges with the host at once already; its console has the cause.',
    person: restart,
  },
  extension_origin_not_allowed: {
    administrator:
      'The page is not among the origins that the extension is configured for (managed storage, or the host configuration).',
    person: notOurPage,
  },
  extension_frame_not_allowed: {
    administrator: 'The request came from a frame inside another page. Only the top page may ask.',
    person: notOurPage,
  },
  host_not_installed: {
    administrator:
      'The browser found no native messaging host manifest named dev.countersign.host, or its path does not exist.',
    person:
      'The Countersign program is missing on this computer. Ask your IT support to install it.',
  },
  host_blocked_by_policy: {
    administrator:
      'Browser policy blocks the host: add dev.countersign.host to NativeMessagingAllowlist.',
    person: 'Your browser is not allowed to use the Countersign program. Ask your IT support.',
  },
  host_forbidden: {
    administrator: "The host manifest's allowed_origins does not name this extension's id.",
    person: askSupport,
  },
  host_exited: {
    administrator: 'The host ended without an answer. Run `countersign status` on the device.',
    person: restart,
  },
  host_timeout: {
    administrator:
      'The host gave no answer in time: a keystore that waits for a person, or a very busy device.',
    person: tryAgain,
  },
  host_answer_malformed: {
    administrator:
      'The host answered something that is not a message of this protocol version, or ended before it read the question. Run `countersign status` on the device; update host and extension together.',
    person: askSupport,
  },
  host_internal_error: {
    administrator:
      'The host failed in a way it has no code for; run `countersign status` on the device.',
    person: askSupport,
  },
  host_configuration_invalid: {
    administrator:
      'The host configuration is missing or has a wrong field; `countersign status` names it.',
    person: askSupport,
  },
  host_configuration_untrusted: {
    administrator:
      'The host configuration, or a folder above it, can be changed by somebody other than root, and it does not say "development": true.',
    person: askSupport,
  },
  host_version_unsupported: {
    administrator: 'Extension and host speak different protocol versions. Update the older one.',
    person:
      'A part of Countersign on this computer is out of date. Ask your IT support to update it.',
  },
  message_malformed: {
    administrator:
      'The host received a message that does not fit the protocol; the detail names the field.',
    person: tryAgain,
  },
  message_too_large: {
    administrator: 'The host received a frame longer than 64 KiB, or of length 0.',
    person: tryAgain,
  },
  origin_not_allowed: {
    administrator:
      "The page's origin is not on the host's own list, or not among the challenge's origins. If it should be, add it to host.json; if not, somebody may be phishing.",
    person: notOurPage,
  },
  not_enrolled: {
    administrator:
      'The device has no certificate yet. Run `countersign enroll` with an enrollment token.',
    person: 'This computer is not enrolled yet. Ask your IT support to enroll it.',
  },
  key_unavailable: {
    administrator:
      "The device's private key cannot be used: its file or keystore entry is missing, locked or damaged. Run `countersign enroll --replace` with a new enrollment token on the device.",
    person: askSupport,
  },
  challenge_malformed: {
    administrator: 'The challenge is not a token of the expected form.',
    person: tryAgain,
  },
  challenge_signature_invalid: {
    administrator:
      "The challenge does not carry this organization's signature: another broker made it, or somebody forged it.",
    person: notOurPage,
  },
  challenge_key_unknown: {
    administrator:
      'The challenge names a signing key that the one who reads it does not know. A host fetches the key set once more by itself; if that does not help, the challenge is not from this broker.',
    person: tryAgain,
  },
  challenge_wrong_audience: {
    administrator:
      'The challenge was made for another organization than the one this device is enrolled with.',
    person: notOurPage,
  },
  clock_skew: {
    administrator:
      "The device's clock is more than 10 minutes away from the broker's. Turn on automatic time on the device.",
    person: "This computer's clock is wrong. Turn on automatic date and time, then try again.",
  },
  key_set_invalid: {
    administrator:
      "The broker's key set is not signed under the root that was pinned at enrollment, or is older than one already seen.",
    person: askSupport,
  },
  broker_unreachable: {
    administrator:
      'The broker could not be reached. Check its address, network and TLS certificate.',
    person: 'The sign-in service cannot be reached. Check your connection and try again.',
  },

  evidence_missing: {
    administrator:
      'The sign-in server sent no evidence: the page did not call attest(), or lost what it returned.',
    person: tryAgain,
  },
  evidence_malformed: {
    administrator:
      'The evidence is not of the form that attest() returns; it was cut or changed on its way.',
    person: tryAgain,
  },
  challenge_wrong_client: {
    administrator:
      'The challenge was made for another client than the one that sent it for a decision.',
    person: tryAgain,
  },
  challenge_wrong_transaction: {
    administrator:
      'The challenge was made for another sign-in transaction. Evidence was moved between two sign-ins; this is how a relayed sign-in looks.',
    person: tryAgain,
  },
  challenge_expired: {
    administrator: 'More than 60 seconds passed between the challenge and the decision.',
    person: 'That took too long. Reload the sign-in page and try again.',
  },
  challenge_already_used: {
    administrator:
      'The challenge was already decided, and this request is not a retry of the same one.',
    person: tryAgain,
  },
  response_undecryptable: {
    administrator:
      "The response is not encrypted to one of the broker's current keys, or was changed on its way.",
    person: tryAgain,
  },
  response_malformed: {
    administrator: 'The response is not a device response of this protocol version.',
    person: tryAgain,
  },
  response_signature_invalid: {
    administrator: 'The signature of the response does not fit the certificate in it.',
    person: askSupport,
  },
  response_wrong_challenge: {
    administrator: 'The response answers another challenge than the one it was sent with.',
    person: tryAgain,
  },
  response_wrong_audience: {
    administrator: 'The response was made for another broker.',
    person: notOurPage,
  },
  response_wrong_origin: {
    administrator:
      'The browser reported an origin that is not registered for this client. This is how a phishing page looks.',
    person: notOurPage,
  },
  certificate_malformed: {
    administrator: 'The certificate in the response is not one of ours by its form.',
    person: askSupport,
  },
  certificate_unknown: {
    administrator:
      'The certificate is not on record at this broker: another authority issued it, or the record was removed. If the device should be trusted, run `countersign enroll --replace` with a new enrollment token on it.',
    person: 'This computer is not enrolled with your company. Ask your IT support.',
  },
  certificate_not_yet_valid: {
    administrator: "The certificate's validity begins in the future by the broker's clock.",
    person: askSupport,
  },
  certificate_expired: {
    administrator:
      'The certificate has expired. Enroll the device again with `countersign enroll`.',
    person: "This computer's certificate has expired. Ask your IT support for a new one.",
  },
  certificate_revoked: {
    administrator:
      'The certificate was revoked. If the device may be used again, run `countersign enroll --replace` with a new enrollment token on it. Where its device management no longer manages it, bring it back there first: until then a new enrollment is refused (`device_not_managed`).',
    person: 'This computer may no longer be used to sign in. Ask your IT support.',
  },
  certificate_superseded: {
    administrator:
      'A newer certificate replaced this one and the overlap has ended. Restart the browser so that it takes the new one.',
    person: restart,
  },
  certificate_suspended: {
    administrator:
      'The certificate is on hold: an administrator put it there, or nobody had signed in with it when a user of this device was deactivated or had all certificates revoked. Release it, or run `countersign enroll --replace` with a new enrollment token on the device.',
    person: 'This computer must be set up again before you can sign in. Ask your IT support.',
  },
  issuer_not_active: {
    administrator:
      'The issuing certificate authority of this certificate is no longer active. Run `countersign enroll --replace` with a new enrollment token on the device.',
    person: "This computer's certificate must be replaced. Ask your IT support.",
  },

  mtls_evidence_undecryptable: {
    administrator:
      "The mTLS evidence is not encrypted to one of the broker's current keys, or was changed on its way.",
    person: tryAgain,
  },
  mtls_evidence_malformed: {
    administrator: 'The mTLS evidence is not of the form that the mTLS endpoint gives.',
    person: tryAgain,
  },
  mtls_evidence_key_unknown: {
    administrator:
      'The mTLS evidence is signed with a key that this broker does not use, or no longer.',
    person: tryAgain,
  },
  mtls_evidence_signature_invalid: {
    administrator: "The signature of the mTLS evidence is not the broker's.",
    person: tryAgain,
  },
  mtls_evidence_wrong_challenge: {
    administrator:
      'The mTLS evidence was given for another challenge than the one it was sent with.',
    person: tryAgain,
  },
  mtls_evidence_wrong_audience: {
    administrator: 'The mTLS evidence was given by another broker, or for another organization.',
    person: notOurPage,
  },
  mtls_evidence_wrong_origin: {
    administrator:
      'The mTLS evidence was given to a page whose origin is not registered for this client, or not to the one that the extension saw. This is how a phishing page looks.',
    person: notOurPage,
  },
  mtls_evidence_expired: {
    administrator: 'The mTLS evidence had expired when the decision was asked for.',
    person: 'That took too long. Reload the sign-in page and try again.',
  },
  evidence_lineage_mismatch: {
    administrator:
      'Alarm: extension and TLS connection named certificates that do not belong together. A certificate was copied to another device, or two devices take part in one sign-in.',
    person: 'This sign-in looks unusual and was stopped. Ask your IT support.',
  },

  not_pending: {
    administrator:
      'No sign-in with this evidence waits for a further factor: it was never pending, or has been completed or decided.',
    person: tryAgain,
  },
  step_up_expired: {
    administrator:
      'More than 10 minutes passed between the request for a factor and its completion.',
    person: 'That took too long. Reload the sign-in page and try again.',
  },
  step_up_wrong_subject: {
    administrator: 'The completion names another user than the pending sign-in.',
    person: tryAgain,
  },
  step_up_wrong_application: {
    administrator: 'The completion names another application or action than the pending sign-in.',
    person: tryAgain,
  },
  step_up_wrong_evidence: {
    administrator: 'The completion came with other evidence than the pending sign-in.',
    person: tryAgain,
  },
  step_up_insufficient: {
    administrator:
      'The acr and amr that the sign-in server asserted, or its word on the primary authentication, are not what the pending sign-in asked for.',
    person: 'Your company asks for another way to confirm that it is you. Try that one.',
  },

  application_unknown: {
    administrator: 'No application with this id exists at the broker.',
    person: askSupport,
  },
  client_not_allowed_for_application: {
    administrator: 'The client is not registered to ask about this application.',
    person: askSupport,
  },
  action_unknown: {
    administrator:
      'No such action is decided for this type of resource. Of an application the only one is "sign_in".',
    person: askSupport,
  },
  subject_type_unknown: {
    administrator:
      'Who signs in is a subject of type "user", and what to is a resource of type "application".',
    person: askSupport,
  },
  subject_not_authenticated: {
    administrator:
      'The certificate has no user yet, and the sign-in server does not say that this user has been authenticated. Evaluate after the primary authentication.',
    person: 'Sign in with your password first.',
  },
  subject_inactive: {
    administrator: 'The user is deactivated.',
    person: 'Your account is not active. Ask your IT support.',
  },
  user_revoked: {
    administrator:
      'The user was deactivated, or had all certificates revoked, after this certificate was bound to them. It stays refused also when the user is active again: run `countersign enroll --replace` with a new enrollment token on the device.',
    person: 'This computer must be set up again before you can sign in. Ask your IT support.',
  },
  certificate_bound_to_other_user: {
    administrator:
      'Another user signed in with this certificate first; it stays theirs. If the local account now belongs to this user alone, run `countersign enroll --replace` with a new enrollment token in it. If several people share the account, do not: each needs a local account of their own, enrolled there.',
    person: 'This computer is set up for another person. Ask your IT support to set it up for you.',
  },
  certificate_bound_to_other_spelling: {
    administrator:
      'Somebody of this name signed in with this certificate first, under another spelling of it; it stays with that one. Ids are compared character by character: have the sign-in server send the name as the account has it, never as it was typed. If the account is spelled anew, run `countersign enroll --replace` with a new enrollment token on the device.',
    person:
      'This computer is set up for another spelling of your user name. Enter it as you did before, or ask your IT support.',
  },
  authentication_required: {
    administrator:
      'Nobody has signed in with this certificate yet, so the sign-in waits until the sign-in server asserts that the user is authenticated, and completes it.',
    person: 'Sign in with your password first.',
  },
  step_up_required: {
    administrator:
      'A rule of the policy asks for a further factor; the sign-in waits until the sign-in server completes it.',
    person: 'Confirm that it is you, as this page asks, and try again.',
  },
  policy_denied: {
    administrator: 'A rule of the policy denies this sign-in.',
    person: 'Your company does not allow this sign-in. Ask your IT support.',
  },
  access_denied: {
    administrator: 'A rule of the application denies this action, or none allows it.',
    person: 'You may not do this. Ask your IT support if you need to.',
  },
  resource_type_unknown: {
    administrator:
      'None of the applications that the client is registered for has resources of this type.',
    person: askSupport,
  },
  revoked: {
    administrator:
      'Since the first answer to this request, the certificate, its issuer, its binding or the user lost its standing.',
    person: 'This computer may no longer be used to sign in. Ask your IT support.',
  },
};
