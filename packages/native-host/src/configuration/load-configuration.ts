import { closeSync, constants, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { parseFields } from '@countersign/protocol/schemas';
import type * as z from 'zod/mini';
import { parseBrokerUrl } from '../http/broker-url.ts';
import { defaultTpmDevice } from '../keystore/tpm/tpm-settings.ts';
import { fail, type Result, succeed } from '../result.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';
import { type Configuration, configurationFile } from './configuration.ts';
import { defaultStateDirectory } from './default-paths.ts';
import { findOutsideInfluence } from './file-trust.ts';

export type ConfigurationReason = 'host_configuration_invalid' | 'host_configuration_untrusted';

const maxConfigurationBytes = 64 * 1024;

export type LoadConfigurationOptions = {
  readonly findInfluence?: typeof findOutsideInfluence;
  readonly platform?: NodeJS.Platform;
};

/** Reads and checks the host configuration at `path`, which must be absolute. */
export function loadConfiguration(
  path: string,
  {
    findInfluence = findOutsideInfluence,
    platform = process.platform,
  }: LoadConfigurationOptions = {},
): Result<Configuration, ConfigurationReason> {
  const invalid = (detail: string) => fail('host_configuration_invalid', `${path}: ${detail}`);
  if (!isAbsolute(path)) return invalid('must be an absolute path');
  const bytes = readLimited(path);
  if (typeof bytes === 'string') return invalid(bytes);
  const json = parseStrictJsonBytes(bytes);
  if (!json.ok) return invalid(json.detail);
  const file = parseFields(configurationFile, json.value);
  if (!file.ok) return invalid(`${file.field} ${file.detail}`);
  const { value } = file;

  const influence =
    platform === 'win32'
      ? `${path}: who may change it cannot be checked on Windows yet`
      : findInfluence(path);
  const development = value.development === true;
  if (influence !== undefined && !development)
    return fail('host_configuration_untrusted', influence);

  const brokerUrl = value.broker_url === undefined ? undefined : parseBrokerUrl(value.broker_url);
  if (brokerUrl?.ok === false) return invalid(`broker_url ${brokerUrl.detail}`);
  const keystore = readKeystore(value.keystore, development);
  if (!keystore.ok) return invalid(keystore.detail);
  if (keystore.value.kind === 'pkcs11' && !development) {
    const untrusted = findModuleInfluence(keystore.value.module, findInfluence);
    if (untrusted !== undefined) return fail('host_configuration_untrusted', untrusted);
  }
  const stateDirectory = value.state_directory ?? defaultStateDirectory(platform);
  if (!isAbsolute(stateDirectory)) return invalid('state_directory must be an absolute path');
  return succeed({
    path,
    origins: value.origins,
    stateDirectory,
    keystore: keystore.value,
    development,
    ...(brokerUrl === undefined ? {} : { brokerUrl: brokerUrl.value }),
    ...(value.root_sha256 === undefined ? {} : { rootSha256: value.root_sha256 }),
    ...(value.hardware_id === undefined ? {} : { hardwareId: value.hardware_id }),
  });
}

type KeystoreMember = NonNullable<z.infer<typeof configurationFile>['keystore']>;

function readKeystore(
  keystore: KeystoreMember | undefined,
  development: boolean,
): Result<Configuration['keystore'], 'invalid'> {
  if (keystore === undefined || keystore.kind === 'file') return succeed({ kind: 'file' });
  if (keystore.kind === 'tpm') return readTpm(keystore, development);
  const { kind, module, token_label: tokenLabel, pin_file: pinFile } = keystore;
  if (!isAbsolute(module)) return fail('invalid', 'keystore.module must be an absolute path');
  if (pinFile === undefined) return succeed({ kind, module, tokenLabel });
  return isAbsolute(pinFile)
    ? succeed({ kind, module, tokenLabel, pinFile })
    : fail('invalid', 'keystore.pin_file must be an absolute path');
}

function readTpm(
  {
    device = defaultTpmDevice,
    simulator_port: simulatorPort,
    attest_to: attestTo,
  }: Extract<KeystoreMember, { kind: 'tpm' }>,
  development: boolean,
): Result<Configuration['keystore'], 'invalid'> {
  if (!isAbsolute(device)) return fail('invalid', 'keystore.device must be an absolute path');
  if (simulatorPort !== undefined && !development) {
    return fail('invalid', 'keystore.simulator_port needs "development": true');
  }
  return succeed({
    kind: 'tpm',
    device,
    ...(simulatorPort === undefined ? {} : { simulatorPort }),
    ...(attestTo === undefined ? {} : { attestTo }),
  });
}

/** Why others than root could change the module, whose code runs in the host; one that is not there is no danger. */
function findModuleInfluence(
  module: string,
  findInfluence: typeof findOutsideInfluence,
): string | undefined {
  const influence = existsSync(module) ? findInfluence(module) : undefined;
  return influence === undefined ? undefined : `keystore.module: ${influence}`;
}

/** The bytes, or in words why there are none. */
function readLimited(path: string): Uint8Array | string {
  try {
    // Nobody may be writing at the other end of a pipe; opening it must not wait for that.
    const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      if (!fstatSync(file).isFile()) return 'is not a file';
      const buffer = new Uint8Array(maxConfigurationBytes + 1);
      let filled = 0;
      for (let got = -1; got !== 0 && filled < buffer.length; filled += got) {
        got = readSync(file, buffer, filled, buffer.length - filled, null);
      }
      return filled > maxConfigurationBytes
        ? `is larger than ${maxConfigurationBytes} bytes`
        : buffer.subarray(0, filled);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
  }
}
