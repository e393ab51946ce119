import { readFileSync } from 'node:fs';
import { lockDataDirectory } from './data-directory/data-directory-lock.ts';
import { ensureDataDirectory } from './data-directory/open-data-directory.ts';
import { EdgeServerError } from './edge-server-error.ts';
import { assertOptions, type EdgeServerOptions } from './edge-server-options.ts';
import { keepWorkerSettings } from './keep-worker-settings.ts';
import { readTokenKeys } from './rotation/token-key-files.ts';

/** Settings that are variables in wrangler.toml, not secrets. */
const variables = new Set(['BROKER_URL', 'SHARD_COUNT']);

/**
 * The secrets that `wrangler.toml` requires, for a broker on Cloudflare with the keys of this data folder, which is made
 * if need be and is from then on their backup. Keys are in the text forms that the worker imports: base64 of PKCS#8, and
 * base64url for the device id key and the one that seals stored secrets; SCEP's is PEM.
 *
 * @throws EdgeServerError
 */
export async function cloudflareSecrets(
  options: EdgeServerOptions,
  nowMs: number,
): Promise<Readonly<Record<string, string>>> {
  assertOptions(options);
  const { brokerUrl } = options;
  if (brokerUrl === undefined) {
    throw new EdgeServerError(
      'setting_invalid',
      'The key set names the broker: say with --broker-url under which URL it will be reached.',
    );
  }
  const data = await ensureDataDirectory(options.dataDirectory, { brokerUrl, nowMs });
  const { lock } = lockDataDirectory(data.directory, data.paths);
  try {
    const tokenKeys = readTokenKeys(data.paths);
    const { texts, textFiles, keys } = await keepWorkerSettings(data, brokerUrl, tokenKeys, nowMs);
    const keyTexts = Object.entries(keys).map(([name, { use, file }]) => {
      const bytes = readFileSync(file);
      if (use === 'hmac_sign' || use === 'aes_gcm') return [name, bytes.toString('base64url')];
      const base64 = bytes.toString('latin1').replace(/-----[A-Z ]+-----|\s/g, '');
      return [name, base64];
    });
    const secretTexts = Object.entries(texts).filter(([name]) => !variables.has(name));
    const fileTexts = Object.entries(textFiles).map(([name, file]) => [
      name,
      readFileSync(file, 'utf8'),
    ]);
    return Object.fromEntries([...secretTexts, ...fileTexts, ...keyTexts]);
  } finally {
    lock.release();
  }
}
