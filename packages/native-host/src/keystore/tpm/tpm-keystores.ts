import { join } from 'node:path';
import { type Result, succeed } from '../../result.ts';
import { listPrivateFolder } from '../../state/private-file.ts';
import { keyStoreFailure } from '../file-keystore.ts';
import type { KeyStoreReason, KeyStores } from '../keystore.ts';
import { removeTpmKey, tpmKeyFileName } from './tpm-key-file.ts';
import { TpmKeyStore } from './tpm-keystore.ts';
import type { TpmSettings } from './tpm-settings.ts';

/** The keys of one state folder that a TPM has made. */
export class TpmKeyStores implements KeyStores {
  readonly #settings: TpmSettings;
  readonly #stateDirectory: string;

  /** `stateDirectory`: absolute path. */
  constructor(settings: TpmSettings, stateDirectory: string) {
    this.#settings = settings;
    this.#stateDirectory = stateDirectory;
  }

  open(keyId?: string): TpmKeyStore {
    const input = { settings: this.#settings, stateDirectory: this.#stateDirectory };
    return new TpmKeyStore(input, keyId);
  }

  async removeOthers(keyId?: string): Promise<Result<undefined, KeyStoreReason>> {
    return this.#remove((other) => other !== keyId);
  }

  async removeAll(): Promise<Result<undefined, KeyStoreReason>> {
    return this.#remove(() => true);
  }

  #remove(isMeant: (keyId: string | undefined) => boolean): Result<undefined, KeyStoreReason> {
    const names = listPrivateFolder(this.#stateDirectory);
    if (!names.ok) return names.reason === 'missing' ? succeed(undefined) : keyStoreFailure(names);
    for (const name of names.value) {
      const match = tpmKeyFileName.exec(name);
      if (match === null || !isMeant(match[1])) continue;
      const removed = removeTpmKey(join(this.#stateDirectory, name));
      if (!removed.ok) return removed;
    }
    return succeed(undefined);
  }
}
