import type { ProblemCode } from './reason-codes.ts';
import { askSupport, type ReasonText } from './reason-text.ts';

const notManaged =
  'This device is not managed by your company. Ask your IT support to add it to device management, and try again.';
const later = 'Your device could not be checked right now. Try again in a few minutes.';

/** What a device management says, or that it says nothing. */
export const integrationTexts = {
  device_not_managed: {
    administrator:
      'The device management does not manage this device, or knows its serial number and its hardware UUID as different devices.',
    person: notManaged,
  },
  device_not_in_inventory: {
    administrator: "The device is not in the integration's inventory file.",
    person: notManaged,
  },
  device_check_in_stale: {
    administrator:
      'The device management has not heard of this device for longer than the integration allows. Have it check in.',
    person:
      'Your device has not been in touch with device management for too long. Connect it to the network, wait, and try again.',
  },
  integration_unavailable: {
    administrator:
      'The device management cannot be reached or fails. The broker asks again by itself; see Retry-After.',
    person: later,
  },
  integration_busy: {
    administrator:
      'The device management asks for fewer requests, or too many wait for it already. It is asked again by itself; see Retry-After.',
    person: later,
  },
  integration_credentials_invalid: {
    administrator:
      "The device management refuses the integration's credentials, or they lack a permission. Test the credentials.",
    person: later,
  },
  integration_answer_malformed: {
    administrator:
      'The device management answered what is no answer: another format, a redirect, or too much. Test the credentials.',
    person: later,
  },
  webhook_authentication_failed: {
    administrator:
      "The request does not have the integration's webhook secret, or the integration has none.",
    person: askSupport,
  },
} satisfies Partial<Record<ProblemCode, ReasonText>>;
