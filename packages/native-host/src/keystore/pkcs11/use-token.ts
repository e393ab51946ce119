import { setTimeout as wait } from 'node:timers/promises';
import type { Result } from '../../result.ts';
import type { KeyStoreReason } from '../keystore.ts';
import { type Cryptoki, CryptokiError, type Handle, type TokenInfo } from './cryptoki.ts';
import { CKF, CKR } from './cryptoki-values.ts';
import { attempt, KeyStoreError } from './key-store-error.ts';
import { RefusedPins, readPin } from './pin.ts';
import { lockToken } from './token-lock.ts';
import type { TokenSettings } from './token-settings.ts';

/** A session with the token, in which the user is logged in. */
export type OpenToken = {
  readonly cryptoki: Cryptoki;
  readonly slot: Handle;
  readonly session: Handle;
};

export type UseTokenInput = {
  readonly cryptoki: Cryptoki;
  readonly settings: TokenSettings;
  /** Where a refused PIN is remembered. */
  readonly stateDirectory: string;
  readonly mayWrite: boolean;
};

/** Answers of a module that was disturbed by another process, among other things. */
const passingAnswers: readonly number[] = [CKR.GENERAL_ERROR, CKR.FUNCTION_FAILED];
const attempts = 6;
const betweenAttemptsMs = 25;

/**
 * Finds the token, logs in, and gives the session to `action`; afterwards the module is as if it had never been used.
 * Other host processes wait meanwhile. Some modules fail without a reason while yet another program uses the token; then
 * all of it is tried again, unless that could try a PIN or make something twice.
 */
export async function useToken<Value>(
  input: UseTokenInput,
  action: (token: OpenToken) => Value,
): Promise<Result<Value, KeyStoreReason>> {
  const lock = await lockToken(input.stateDirectory);
  if (!lock.ok) return lock;
  try {
    for (let attempt = 1; ; attempt++) {
      const { result, mayRepeat } = useTokenOnce(input, action);
      if (result.ok || !mayRepeat || attempt === attempts) return result;
      await wait(betweenAttemptsMs * attempt);
    }
  } finally {
    lock.value();
  }
}

/** Nothing in here waits, so that no two uses of a module get into each other's way in one process. */
function useTokenOnce<Value>(
  input: UseTokenInput,
  action: (token: OpenToken) => Value,
): { readonly result: Result<Value, KeyStoreReason>; readonly mayRepeat: boolean } {
  const { cryptoki, settings } = input;
  let mayRepeat = false;
  let isRepeatable = true;
  const result = attempt(settings.module, () => {
    try {
      cryptoki.initialize();
      try {
        const { slot, info } = findToken(cryptoki, settings);
        const session = cryptoki.openSession(slot, input.mayWrite);
        try {
          isRepeatable = false;
          logIn(input, session, info);
          isRepeatable = !input.mayWrite;
          return action({ cryptoki, slot, session });
        } finally {
          quietly(() => cryptoki.closeSession(session));
        }
      } finally {
        quietly(() => cryptoki.finalize());
      }
    } catch (error) {
      const isPassing =
        error instanceof CryptokiError && passingAnswers.includes(error.returnValue);
      mayRepeat = isRepeatable && isPassing;
      throw error;
    }
  });
  return { result, mayRepeat };
}

function findToken(cryptoki: Cryptoki, { module, tokenLabel }: TokenSettings) {
  const tokens = cryptoki.listSlots().map((slot) => ({ slot, info: cryptoki.readTokenInfo(slot) }));
  const [token, ...more] = tokens.filter(({ info }) => info.label === tokenLabel);
  if (token === undefined) {
    const labels = tokens
      .map(({ info }) => JSON.stringify(info.label))
      .filter((label) => label !== '""');
    const there = labels.length === 0 ? 'it has none' : `it has ${labels.join(', ')}`;
    throw new KeyStoreError(
      'keystore_token_missing',
      `keystore.token_label: ${module} has no token ${JSON.stringify(tokenLabel)}; ${there}`,
    );
  }
  if (more.length > 0) {
    throw new KeyStoreError(
      'keystore_token_ambiguous',
      `keystore.token_label: ${module} has ${more.length + 1} tokens ${JSON.stringify(tokenLabel)}`,
    );
  }
  return token;
}

const refusals: readonly number[] = [
  CKR.PIN_INCORRECT,
  CKR.PIN_INVALID,
  CKR.PIN_LEN_RANGE,
  CKR.PIN_EXPIRED,
  CKR.USER_PIN_NOT_INITIALIZED,
];

/** One attempt at the most: see `RefusedPins`. */
function logIn(input: UseTokenInput, session: Handle, info: TokenInfo): void {
  const { cryptoki, settings, stateDirectory } = input;
  const name = `the token ${JSON.stringify(info.label)}`;
  if (settings.pinFile === undefined) {
    if ((info.flags & CKF.LOGIN_REQUIRED) === 0) return;
    throw new KeyStoreError('keystore_pin_unreadable', `keystore.pin_file: ${name} asks for a PIN`);
  }
  const pin = readPin(settings.pinFile);
  if (!pin.ok) throw new KeyStoreError(pin.reason, pin.detail);
  const refusedPins = new RefusedPins(stateDirectory, settings.pinFile);
  const wasRefused = refusedPins.includes(info.serialNumber);
  if (wasRefused) {
    throw new KeyStoreError(
      'keystore_pin_wrong',
      `keystore.pin_file: ${name} refused this PIN before; it is not tried again until ${settings.pinFile} is written anew`,
    );
  }
  if ((info.flags & CKF.USER_PIN_LOCKED) !== 0) {
    throw new KeyStoreError(
      'keystore_pin_locked',
      `keystore.pin_file: the PIN of ${name} is locked`,
    );
  }
  if ((info.flags & CKF.USER_PIN_FINAL_TRY) !== 0) {
    throw new KeyStoreError(
      'keystore_pin_locked',
      `keystore.pin_file: a wrong PIN would now lock ${name}, so it is not tried; log in once with the token's own tool`,
    );
  }
  try {
    cryptoki.login(session, pin.value);
  } catch (error) {
    if (!(error instanceof CryptokiError)) throw error;
    if (error.returnValue === CKR.USER_ALREADY_LOGGED_IN) return;
    if (error.returnValue === CKR.PIN_LOCKED) {
      throw new KeyStoreError(
        'keystore_pin_locked',
        `keystore.pin_file: the PIN of ${name} is locked`,
      );
    }
    if (!refusals.includes(error.returnValue)) throw error;
    const unrecorded = refusedPins.add(info.serialNumber);
    const record = unrecorded === undefined ? '' : `; this could not be recorded: ${unrecorded}`;
    throw new KeyStoreError(
      'keystore_pin_wrong',
      `keystore.pin_file: ${name} refused the PIN: ${error.message}${record}`,
    );
  } finally {
    pin.value.fill(0);
  }
}

/** The token's own words about closing come too late to matter. */
function quietly(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof CryptokiError)) throw error;
  }
}
