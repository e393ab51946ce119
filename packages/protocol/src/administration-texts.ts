import type { ProblemCode } from './reason-codes.ts';
import { askSupport, type ReasonText, tryAgain } from './reason-text.ts';

/** Texts of refusals that administrators get. */
export const administrationTexts = {
  admin_forbidden: {
    administrator: "The administrator's role does not permit this. The detail names what it lacks.",
    person: 'Your role does not permit this. Ask an owner of the organization.',
  },
  admin_not_found: {
    administrator: 'No administrator has this id.',
    person: askSupport,
  },
  integration_not_found: {
    administrator:
      'No management integration has this id: it was never created, or it was deleted.',
    person: askSupport,
  },
  integration_in_use: {
    administrator:
      'Sign-ins rely on this integration. The detail says what would break, and in which order to proceed; an override does it all the same.',
    person: askSupport,
  },
  device_trust_in_use: {
    administrator:
      'Sign-ins rely on trusted devices. The detail says what would break, and in which order to proceed; an override does it all the same.',
    person: askSupport,
  },
  application_has_rules: {
    administrator:
      'The application has a policy of rules, which these choices would replace. Change the policy, or send replace_policy.',
    person: askSupport,
  },
  policy_not_found: {
    administrator: 'There is no such application, or no such version of its policy or access.',
    person: askSupport,
  },
  policy_version_conflict: {
    administrator:
      'It was changed meanwhile: the policy or access is not at the version that this change expects. Look at it and send again.',
    person: askSupport,
  },
  zone_not_found: {
    administrator: 'No zone has this id.',
    person: askSupport,
  },
  zone_in_use: {
    administrator: 'A policy names this zone. Change that policy first.',
    person: askSupport,
  },
  zone_limit_reached: {
    administrator: 'All zones together have as many blocks as there may be: 10,000.',
    person: askSupport,
  },
  decision_not_found: {
    administrator: 'No decision is on record under this id.',
    person: askSupport,
  },
  fail_open_off: {
    administrator:
      'The application is not to let anybody in while the broker is away, or this client may not ask about it.',
    person: tryAgain,
  },
  group_not_found: {
    administrator: 'No group of users has this id.',
    person: askSupport,
  },
  group_in_use: {
    administrator:
      'An integration is on trial with this group, or a policy names it. Change that first.',
    person: askSupport,
  },
  group_owned_by_directory: {
    administrator: 'The directory brought this group: it is changed and removed there.',
    person: askSupport,
  },
  user_inactive_in_directory: {
    administrator: 'The directory has deactivated this user: activate them there.',
    person: askSupport,
  },
  directory_subject_fixed: {
    administrator:
      'The directory has users: which attribute is the user id can be changed only before there are any.',
    person: askSupport,
  },
  directory_quota_reached: {
    administrator:
      'The directory takes away more than the quota permits, and is stopped. Look at what it does; directory resume lets it go on.',
    person: askSupport,
  },
  scim_syntax_invalid: {
    administrator:
      'The SCIM message is not built as the protocol says. The detail names what is wrong.',
    person: askSupport,
  },
  scim_value_invalid: {
    administrator:
      'A value in the SCIM message is missing, or not of its kind. The detail names the attribute.',
    person: askSupport,
  },
  scim_path_invalid: {
    administrator: 'A path in the SCIM message is none, or chooses what cannot be chosen.',
    person: askSupport,
  },
  scim_filter_invalid: {
    administrator: 'The filter is none, is too long or deep, or names what cannot be asked for.',
    person: askSupport,
  },
  scim_conflict: {
    administrator: 'Another resource of the directory has this name or external id already.',
    person: askSupport,
  },
  scim_resource_not_found: {
    administrator: 'The directory has no such user or group.',
    person: askSupport,
  },
  scim_version_mismatch: {
    administrator:
      'The resource was changed meanwhile: it is not at a version that If-Match names.',
    person: tryAgain,
  },
  scim_not_supported: {
    administrator: 'This part of SCIM is not offered; ServiceProviderConfig says what is.',
    person: askSupport,
  },
  issuer_not_found: {
    administrator: 'No issuer with this id is configured.',
    person: askSupport,
  },
  issuer_in_use: {
    administrator:
      'Live certificates depend on this issuer, or it is the one that issues. The detail says how many; an override retires it all the same.',
    person: askSupport,
  },
  subject_search_not_allowed: {
    administrator:
      'The client is not registered to ask who is allowed something. Set subject_search in its registration if it may know who the users are.',
    person: askSupport,
  },
  idempotency_key_reused: {
    administrator: 'This Idempotency-Key came with another request before. Use a new one.',
    person: askSupport,
  },
  idempotency_in_progress: {
    administrator: 'The request with this Idempotency-Key is still being worked on.',
    person: tryAgain,
  },
  idempotency_outcome_unknown: {
    administrator:
      'A request with this Idempotency-Key was begun, and what became of it is not known. Look whether it took effect; then use a new key.',
    person: askSupport,
  },
  log_cursor_unknown: {
    administrator:
      'The system log was made anew since this cursor was given. Begin again, with "since" set to a time before the newest event you have, and leave out what you have by its uuid.',
    person: askSupport,
  },
  log_stream_not_found: {
    administrator: 'No stream of the system log has this id.',
    person: askSupport,
  },
  log_stream_limit_reached: {
    administrator: 'There are as many streams of the system log as there can be. Delete one first.',
    person: askSupport,
  },
} as const satisfies Partial<Record<ProblemCode, ReasonText>>;
