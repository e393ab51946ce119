import { join } from 'node:path';
import { type Result, succeed } from '../result.ts';
import { listPrivateFolder, removePrivateFile } from '../state/private-file.ts';
import { FileKeyStore, keyFileName, keyStoreFailure } from './file-keystore.ts';
import type { KeyStore, KeyStoreReason, KeyStores } from './keystore.ts';

/** The keys of one state folder, each in files of its own. */
export class FileKeyStores implements KeyStores {
  readonly #folder: string;

  /** `folder`: absolute path. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  open(keyId?: string): KeyStore {
    return new FileKeyStore(this.#folder, keyId);
  }

  async removeOthers(keyId?: string): Promise<Result<undefined, KeyStoreReason>> {
    return this.#remove((name) => name.keyId !== keyId);
  }

  async removeAll(): Promise<Result<undefined, KeyStoreReason>> {
    return this.#remove(() => true);
  }

  #remove(
    isMeant: (name: { readonly keyId: string | undefined }) => boolean,
  ): Result<undefined, KeyStoreReason> {
    const names = listPrivateFolder(this.#folder);
    if (!names.ok) return names.reason === 'missing' ? succeed(undefined) : keyStoreFailure(names);
    // In this order wrapped keys go first: without one, its wrapping key opens nothing.
    for (const name of names.value.toSorted()) {
      const match = keyFileName.exec(name);
      if (match === null || !isMeant({ keyId: match[1] })) continue;
      const removed = removePrivateFile(join(this.#folder, name));
      if (!removed.ok) return keyStoreFailure(removed);
    }
    return succeed(undefined);
  }
}
