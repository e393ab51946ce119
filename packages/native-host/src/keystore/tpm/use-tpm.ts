import { fail, type Result, succeed } from '../../result.ts';
import type { KeyStoreReason } from '../keystore.ts';
import { Tpm } from './tpm.ts';
import { TpmBytesError } from './tpm-bytes.ts';
import { TpmError } from './tpm-error.ts';
import type { TpmSettings } from './tpm-settings.ts';
import { openTransport, type TpmTransport } from './tpm-transport.ts';

/** Opens the TPM, gives it to `action`, and leaves it as it was: nothing that was loaded stays in it. */
export async function useTpm<Value>(
  settings: TpmSettings,
  action: (tpm: Tpm) => Promise<Value>,
  open: (settings: TpmSettings) => Promise<TpmTransport> = openTransport,
): Promise<Result<Value, KeyStoreReason>> {
  try {
    const transport = await open(settings);
    try {
      const tpm = new Tpm(transport);
      try {
        return succeed(await action(tpm));
      } finally {
        await flushQuietly(tpm);
      }
    } finally {
      await transport.close();
    }
  } catch (error) {
    if (error instanceof TpmError) return fail(error.reason, error.message);
    if (error instanceof TpmBytesError) {
      return fail('keystore_tpm_failed', `the TPM gave ${error.message}`);
    }
    throw error;
  }
}

/** A TPM that fails here has failed before, which is what is worth reporting. */
async function flushQuietly(tpm: Tpm): Promise<void> {
  try {
    await tpm.flushAll();
  } catch (error) {
    if (!(error instanceof TpmError || error instanceof TpmBytesError)) throw error;
  }
}
