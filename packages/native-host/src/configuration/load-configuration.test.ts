import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultConfigurationPath, defaultStateDirectory } from './default-paths.ts';
import { loadConfiguration } from './load-configuration.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-configuration-'));
  path = join(folder, 'host.json');
});
afterEach(() => rmSync(folder, { recursive: true }));

const origins = ['https://sso.example.com'];
const protectedByRoot = { findInfluence: () => undefined };
const openToOthers = { findInfluence: () => '/tmp may be written by others than root' };

function load(
  content: unknown,
  options: Parameters<typeof loadConfiguration>[1] = protectedByRoot,
) {
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return loadConfiguration(path, options);
}

describe('a configuration', () => {
  it('needs origins alone', () => {
    expect(load({ origins })).toEqual({
      ok: true,
      value: {
        path,
        origins,
        development: false,
        keystore: { kind: 'file' },
        stateDirectory: join(homedir(), '.local', 'state', 'countersign'),
      },
    });
  });

  it('may say everything', () => {
    const configuration = {
      origins: ['https://sso.example.com', 'http://localhost:8790'],
      broker_url: 'https://BROKER.example.com/',
      root_sha256: 'A'.repeat(43),
      state_directory: '/var/lib/countersign',
      hardware_id: { serial_number: 'ABC1234' },
      keystore: {
        kind: 'pkcs11',
        module: '/usr/lib/module.so',
        token_label: 'Device keys',
        pin_file: '/home/a/pin',
      },
      development: true,
    };
    expect(load(configuration)).toEqual({
      ok: true,
      value: {
        path,
        origins: configuration.origins,
        brokerUrl: 'https://broker.example.com',
        rootSha256: configuration.root_sha256,
        stateDirectory: configuration.state_directory,
        hardwareId: configuration.hardware_id,
        keystore: {
          kind: 'pkcs11',
          module: '/usr/lib/module.so',
          tokenLabel: 'Device keys',
          pinFile: '/home/a/pin',
        },
        development: true,
      },
    });
  });

  it('may name a TPM, and a software TPM for development', () => {
    expect(load({ origins, keystore: { kind: 'tpm' } })).toMatchObject({
      value: { keystore: { kind: 'tpm', device: '/dev/tpmrm0' } },
    });
    const attest_to = `int_${'A'.repeat(22)}`;
    const keystore = { kind: 'tpm', simulator_port: 2321, attest_to };
    expect(load({ origins, keystore, development: true })).toMatchObject({
      value: { keystore: { kind: 'tpm', simulatorPort: 2321, attestTo: attest_to } },
    });
  });

  it('may name the keystore that it has anyway, and a token without a PIN', () => {
    expect(load({ origins, keystore: { kind: 'file' } })).toMatchObject({
      value: { keystore: { kind: 'file' } },
    });
    const keystore = { kind: 'pkcs11', module: '/m.so', token_label: 'a' };
    expect(load({ origins, keystore })).toMatchObject({
      value: { keystore: { kind: 'pkcs11', module: '/m.so', tokenLabel: 'a' } },
    });
  });
});

const token = { kind: 'pkcs11', module: '/m.so', token_label: 'a' };

describe('a configuration is invalid, and the field is named', () => {
  it.each<[content: unknown, detail: string]>([
    ['', 'is not JSON'],
    ['{"origins":["https://a.example"],"origins":[]}', 'names the member "origins" twice'],
    [[], '(body) must be of type object'],
    [{}, 'origins must be of type array'],
    [{ origins: [] }, 'origins must be at least 1'],
    [{ origins: ['https://sso.example.com/'] }, 'origins.0 must be an origin'],
    [{ origins: ['http://sso.example.com'] }, 'origins.0 must be an origin'],
    [{ origins: ['*'] }, 'origins.0 must be an origin'],
    [{ origins: origins[0] }, 'origins must be of type array'],
    [{ origins, origin: 'x' }, 'origin is not known here'],
    [{ origins, development: 'true' }, 'development must be of type boolean'],
    [{ origins, broker_url: 'http://broker.example.com' }, 'broker_url must be https'],
    [{ origins, broker_url: 'broker' }, 'broker_url is not a URL'],
    [{ origins, root_sha256: 'abc' }, 'root_sha256 must be base64url of exactly 32 bytes'],
    [{ origins, state_directory: 'state' }, 'state_directory must be an absolute path'],
    [{ origins, state_directory: '~/state' }, 'state_directory must be an absolute path'],
    [{ origins, hardware_id: {} }, 'hardware_id needs serial_number or hardware_uuid'],
    [{ origins, hardware_id: { serial_number: '' } }, 'hardware_id.serial_number must be'],
    [{ origins, keystore: 'pkcs11' }, 'keystore must be of type object'],
    [{ origins, keystore: { kind: 'hsm' } }, 'keystore.kind '],
    [{ origins, keystore: { kind: 'file', module: '/m.so' } }, 'keystore.module is not known here'],
    [
      { origins, keystore: { kind: 'pkcs11', module: '/m.so' } },
      'keystore.token_label must be of type string',
    ],
    [{ origins, keystore: { ...token, token_label: '' } }, 'keystore.token_label must be at least'],
    [{ origins, keystore: { ...token, token_label: 'a'.repeat(33) } }, 'keystore.token_label must'],
    [{ origins, keystore: { ...token, module: 'm.so' } }, 'keystore.module must be an absolute'],
    [{ origins, keystore: { ...token, pin_file: 'pin' } }, 'keystore.pin_file must be an absolute'],
    [{ origins, keystore: { ...token, pin: '1234' } }, 'keystore.pin is not known here'],
    [
      { origins, keystore: { kind: 'tpm', device: 'tpmrm0' } },
      'keystore.device must be an absolute',
    ],
    [{ origins, keystore: { kind: 'tpm', simulator_port: 2321 } }, 'keystore.simulator_port needs'],
    [{ origins, keystore: { kind: 'tpm', simulator_port: 0 } }, 'keystore.simulator_port must be'],
    [{ origins, keystore: { kind: 'tpm', attest_to: 'int_1' } }, 'keystore.attest_to must be int_'],
    [{ origins, keystore: { kind: 'tpm', module: '/m.so' } }, 'keystore.module is not known here'],
    ['[1', 'is not JSON'],
    [`"${'a'.repeat(70_000)}"`, 'is larger than'],
  ])('%j', (content, detail) => {
    expect(load(content)).toEqual({
      ok: false,
      reason: 'host_configuration_invalid',
      detail: expect.stringContaining(`${path}: ${detail}`),
    });
  });

  it('when there is none, or something else in its place', () => {
    expect(loadConfiguration(path)).toMatchObject({ detail: `${path}: does not exist` });
    mkdirSync(path);
    expect(loadConfiguration(path)).toMatchObject({ detail: `${path}: is not a file` });
  });

  it('when there is a pipe to which nobody writes', () => {
    execFileSync('mkfifo', [path]);
    expect(loadConfiguration(path)).toMatchObject({ detail: `${path}: is not a file` });
  });

  it('at a path that depends on where the program was started', () => {
    expect(loadConfiguration('host.json')).toMatchObject({
      ok: false,
      detail: 'host.json: must be an absolute path',
    });
  });
});

describe('a configuration that others may change', () => {
  it('is refused, with the reason', () => {
    expect(load({ origins }, openToOthers)).toEqual({
      ok: false,
      reason: 'host_configuration_untrusted',
      detail: '/tmp may be written by others than root',
    });
    expect(load({ origins, development: false }, openToOthers)).toMatchObject({
      reason: 'host_configuration_untrusted',
    });
  });

  it('is accepted for development, and says so', () => {
    expect(load({ origins, development: true }, openToOthers)).toMatchObject({
      ok: true,
      value: { development: true },
    });
  });

  it('is what a file in the folder for temporary files is, by its real place', () => {
    expect(load({ origins }, {})).toMatchObject({ reason: 'host_configuration_untrusted' });
  });

  it('is one whose PKCS#11 module others may change', () => {
    const module = join(folder, 'module.so');
    const keystore = { ...token, module };
    const openModule = {
      findInfluence: (at: string) => (at === module ? `${at} may be written by others` : undefined),
    };
    // Nobody loads a module that is not there; the keystore says so.
    expect(load({ origins, keystore }, openModule)).toMatchObject({ ok: true });
    writeFileSync(module, '');
    expect(load({ origins, keystore }, openModule)).toEqual({
      ok: false,
      reason: 'host_configuration_untrusted',
      detail: `keystore.module: ${module} may be written by others`,
    });
    expect(load({ origins, keystore, development: true }, openModule)).toMatchObject({ ok: true });
  });

  it('is every file on Windows, where this cannot be checked yet', () => {
    expect(load({ origins }, { platform: 'win32' })).toMatchObject({
      reason: 'host_configuration_untrusted',
    });
  });
});

describe('places by operating system', () => {
  it.each([
    ['linux', '/etc/countersign/host.json', '/home/a/.local/state/countersign'],
    [
      'darwin',
      '/Library/Application Support/Countersign/host.json',
      '/home/a/Library/Application Support/Countersign',
    ],
  ] as const)('%s', (platform, configuration, state) => {
    expect(defaultConfigurationPath(platform)).toBe(configuration);
    expect(defaultStateDirectory(platform, '/home/a')).toBe(state);
  });

  it('win32', () => {
    expect(defaultConfigurationPath('win32')).toMatch(/\\Countersign\\host\.json$/);
    expect(defaultStateDirectory('win32', 'C:\\Users\\a')).toBe(
      'C:\\Users\\a\\AppData\\Local\\Countersign',
    );
  });
});
