import { type Result, succeed } from '../../result.ts';
import type { KeyStore, KeyStoreReason, KeyStores } from '../keystore.ts';
import { loadCryptoki } from './load-cryptoki.ts';
import { Pkcs11KeyStore, type Pkcs11KeyStoreInput } from './pkcs11-keystore.ts';
import { destroyInScope } from './token-objects.ts';
import { readTokenScope } from './token-scope.ts';
import type { TokenSettings } from './token-settings.ts';
import { useToken } from './use-token.ts';

/** The keys of one state folder in a PKCS#11 token, told from all others there by the folder's scope. */
export class Pkcs11KeyStores implements KeyStores {
  readonly #input: Pkcs11KeyStoreInput;

  /** `stateDirectory`: absolute path. */
  constructor(
    settings: TokenSettings,
    stateDirectory: string,
    load: Pkcs11KeyStoreInput['loadCryptoki'] = loadCryptoki,
  ) {
    this.#input = { settings, stateDirectory, loadCryptoki: load };
  }

  open(keyId?: string): KeyStore {
    return new Pkcs11KeyStore(this.#input, keyId);
  }

  async removeOthers(keyId?: string): Promise<Result<undefined, KeyStoreReason>> {
    return this.#remove((scope) => scope.idOf(keyId));
  }

  async removeAll(): Promise<Result<undefined, KeyStoreReason>> {
    return this.#remove(() => undefined);
  }

  async #remove(
    keptId: (scope: { idOf(keyId?: string): Uint8Array }) => Uint8Array | undefined,
  ): Promise<Result<undefined, KeyStoreReason>> {
    const { settings, stateDirectory } = this.#input;
    const scope = readTokenScope(stateDirectory);
    if (!scope.ok) return scope;
    const { value } = scope;
    if (value === undefined) return succeed(undefined);
    const cryptoki = await this.#input.loadCryptoki(settings.module);
    if (!cryptoki.ok) return cryptoki;
    return useToken(
      { cryptoki: cryptoki.value, settings, stateDirectory, mayWrite: true },
      (token) => {
        destroyInScope(token, value, keptId(value));
        return undefined;
      },
    );
  }
}
