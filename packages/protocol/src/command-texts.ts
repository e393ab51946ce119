import type { CommandCode } from './reason-codes.ts';
import { askSupport, type ReasonText } from './reason-text.ts';

/** Texts of what the `countersign` command fails with. Complete by its type. */
export const commandTexts: Readonly<Record<CommandCode, ReasonText>> = {
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
