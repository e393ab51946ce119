import { askSupport } from './reason-text.ts';

/** Texts of what is wrong with where a certificate comes from: its device, its integration, its enrollment. */
export const originTexts = {
  device_blocked: {
    administrator:
      'The device was blocked by an administrator. Every certificate of it is revoked, and it gets none until it is unblocked.',
    person: 'This computer may no longer be used to sign in. Ask your IT support.',
  },
  device_trust_disabled: {
    administrator:
      'Device trust is switched off for the whole organization: no device counts as a trusted one until it is switched on. No certificate was revoked.',
    person: askSupport,
  },
  integration_disabled: {
    administrator:
      'The management integration that the certificate was issued through is disabled. Its certificates count again when it is enabled.',
    person: askSupport,
  },
  integration_not_for_user: {
    administrator:
      'The management integration that the certificate was issued through is in use for test groups, and the user is in none of them.',
    person: askSupport,
  },
  integration_deleted: {
    administrator:
      'The management integration that the certificate belongs to was deleted. Nothing is issued for it, and what it issued counts no longer; enroll the device through another one.',
    person: 'This computer must be set up again before you can sign in. Ask your IT support.',
  },
  enrollment_strength_insufficient: {
    administrator:
      "The certificate was enrolled in a way that does not count here: with the organization's secret, which its integration does not trust, or in another way than the application takes. Enroll it more strongly, or change `trust_shared_secret` or the application's `enrollment_strengths`.",
    person: askSupport,
  },
} as const;
