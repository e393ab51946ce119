import type { KeyProtection } from '@countersign/protocol/key-protection';
import type { Configuration } from '../configuration/configuration.ts';
import type { KeyStores } from './keystore.ts';

/** The keystore that the configuration names. Each kind is loaded only where it is used. */
export async function openKeyStores({
  keystore,
  stateDirectory,
}: Pick<Configuration, 'keystore' | 'stateDirectory'>): Promise<KeyStores> {
  if (keystore.kind === 'pkcs11') {
    const { Pkcs11KeyStores } = await import('./pkcs11/pkcs11-keystores.ts');
    return new Pkcs11KeyStores(keystore, stateDirectory);
  }
  if (keystore.kind === 'tpm') {
    const { TpmKeyStores } = await import('./tpm/tpm-keystores.ts');
    return new TpmKeyStores(keystore, stateDirectory);
  }
  const { FileKeyStores } = await import('./file-keystores.ts');
  return new FileKeyStores(stateDirectory);
}

/** What a keystore of the kind that the configuration names says of its keys; opens nothing. */
export function protectionOf({ keystore }: Pick<Configuration, 'keystore'>): KeyProtection {
  return keystore.kind;
}
