import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { parseFields } from '@countersign/protocol/schemas';
import { parseBrokerUrl } from '../http/broker-url.ts';
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
  const stateDirectory = value.state_directory ?? defaultStateDirectory(platform);
  if (!isAbsolute(stateDirectory)) return invalid('state_directory must be an absolute path');
  return succeed({
    path,
    origins: value.origins,
    stateDirectory,
    development,
    ...(brokerUrl === undefined ? {} : { brokerUrl: brokerUrl.value }),
    ...(value.root_sha256 === undefined ? {} : { rootSha256: value.root_sha256 }),
    ...(value.hardware_id === undefined ? {} : { hardwareId: value.hardware_id }),
  });
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
