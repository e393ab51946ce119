import { fail, type Result, succeed } from '../../result.ts';
import type { KeyStoreReason } from '../keystore.ts';
import { CryptokiError } from './cryptoki.ts';
import { CKR } from './cryptoki-values.ts';

/** Ends what is done with a token, from wherever it is; `attempt` makes a result of it. */
export class KeyStoreError extends Error {
  readonly reason: KeyStoreReason;

  constructor(reason: KeyStoreReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** What the module's refusals mean; a failure of the module where nothing else is known. */
const reasonsOfAnswers: Readonly<Record<number, KeyStoreReason>> = {
  [CKR.TOKEN_NOT_PRESENT]: 'keystore_token_missing',
  [CKR.TOKEN_NOT_RECOGNIZED]: 'keystore_token_missing',
  [CKR.DEVICE_REMOVED]: 'keystore_token_missing',
  [CKR.TOKEN_WRITE_PROTECTED]: 'keystore_token_unsuitable',
  [CKR.SESSION_READ_ONLY]: 'keystore_token_unsuitable',
  [CKR.MECHANISM_INVALID]: 'keystore_token_unsuitable',
};

/** The value of `action`, or the failure that it ended with. Defects are thrown on. */
export function attempt<Value>(
  modulePath: string,
  action: () => Value,
): Result<Value, KeyStoreReason> {
  try {
    return succeed(action());
  } catch (error) {
    if (error instanceof KeyStoreError) return fail(error.reason, error.message);
    if (error instanceof CryptokiError) {
      const reason = reasonsOfAnswers[error.returnValue] ?? 'keystore_module_failed';
      return fail(reason, `keystore.module: ${modulePath}: ${error.message}`);
    }
    throw error;
  }
}
