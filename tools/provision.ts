// The system packages that some groups of tests need: found, installed where that is possible, or named.
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runChild } from './child.mjs';

export type PackageGroup = 'browser' | 'judges' | 'bench';

type SystemPackage = {
  /** Its name in Debian. */
  name: string;
  /** A command of it, to be found in PATH, or else an absolute path. */
  evidence: string;
};

const packageGroups: Record<PackageGroup, readonly SystemPackage[]> = {
  browser: [
    { name: 'chromium', evidence: 'chromium' },
    { name: 'libnss3-tools', evidence: 'certutil' },
    { name: 'firefox-esr', evidence: 'firefox-esr' },
    { name: 'fonts-dejavu-core', evidence: '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf' },
    { name: 'faketime', evidence: 'faketime' },
  ],
  judges: [
    { name: 'openssl', evidence: 'openssl' },
    { name: 'gnutls-bin', evidence: 'certtool' },
    { name: 'strongswan-pki', evidence: 'pki' },
    {
      name: 'libstrongswan-standard-plugins',
      evidence: '/usr/lib/ipsec/plugins/libstrongswan-openssl.so',
    },
    { name: 'faketime', evidence: 'faketime' },
    { name: 'softhsm2', evidence: 'softhsm2-util' },
    { name: 'opensc', evidence: 'pkcs11-tool' },
    { name: 'swtpm', evidence: 'swtpm' },
    { name: 'swtpm-tools', evidence: 'swtpm_setup' },
    { name: 'tpm2-tools', evidence: 'tpm2_activatecredential' },
    // What tpm2-tools needs to speak to swtpm.
    {
      name: 'libtss2-tcti-swtpm0',
      evidence: '/usr/share/doc/libtss2-tcti-swtpm0/copyright',
    },
    { name: 'strace', evidence: 'strace' },
    { name: 'scep', evidence: 'scepclient' },
    // `pki --scep` fetches with the plugin for curl.
    {
      name: 'libstrongswan-extra-plugins',
      evidence: '/usr/lib/ipsec/plugins/libstrongswan-curl.so',
    },
    { name: 'haproxy', evidence: '/usr/sbin/haproxy' },
    { name: 'rsyslog', evidence: '/usr/sbin/rsyslogd' },
    { name: 'rsyslog-openssl', evidence: '/usr/share/doc/rsyslog-openssl/copyright' },
  ],
  bench: [
    { name: 'golang-cfssl', evidence: 'cfssl' },
    { name: 'openssl', evidence: 'openssl' },
  ],
};

export const packageGroupNames = Object.keys(packageGroups) as readonly PackageGroup[];

function isPresent(evidence: string): boolean {
  if (evidence.startsWith('/')) return existsSync(evidence);
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, evidence), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The packages of the groups that this machine lacks, by their Debian names. */
export function missingPackages(groups: Iterable<PackageGroup>): string[] {
  const packages = [...groups].flatMap((group) => packageGroups[group]);
  return packages.filter(({ evidence }) => !isPresent(evidence)).map(({ name }) => name);
}

/** What to type to install packages, on Debian and its relatives. */
export const installCommand = (packages: readonly string[]): string =>
  `sudo apt-get install --no-install-recommends ${packages.join(' ')}`;

/** One line for a group of tests that lacks packages. */
export const notRunLine = (testGroup: string, packages: readonly string[]): string =>
  `NOT RUN: ${testGroup} needs ${packages.join(', ')}; install with: ${installCommand(packages)}`;

/** The same for a group that sets something for the whole machine, such as a browser's policy. */
export const notRunWithoutRootLine = (testGroup: string): string =>
  `NOT RUN: ${testGroup} sets browser policy for the whole machine; run it as root: sudo npm test -- ${testGroup}`;

async function aptGet(args: readonly string[]): Promise<boolean> {
  const { code, output } = await runChild(
    'apt-get',
    ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args],
    {
      cwd: '/',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      output: 'kept',
    },
  );
  if (code !== 0) console.error(`apt-get ${args.join(' ')} ended with ${code}\n${output.trim()}`);
  return code === 0;
}

/**
 * Installs what the groups lack when running as root on a system with apt-get; elsewhere it changes nothing.
 * What is still missing afterwards is for the caller to ask `missingPackages`.
 */
export async function provision(groups: Iterable<PackageGroup>): Promise<void> {
  const missing = missingPackages(groups);
  if (missing.length === 0 || process.getuid?.() !== 0 || !isPresent('apt-get')) return;
  console.log(`installing ${missing.join(', ')} with apt-get`);
  if (!(await aptGet(['update']))) return;
  await aptGet(['install', '-y', '--no-install-recommends', ...missing]);
}

function parseGroups(names: readonly string[]): PackageGroup[] {
  if (names.length === 0) return [...packageGroupNames];
  return names.map((name) => {
    const group = packageGroupNames.find((known) => known === name);
    if (group !== undefined) return group;
    throw new Error(`there is no group ${name}; there are ${packageGroupNames.join(', ')}`);
  });
}

if (import.meta.main) {
  const groups = parseGroups(process.argv.slice(2));
  await provision(groups);
  for (const group of groups) {
    const missing = missingPackages([group]);
    console.log(missing.length === 0 ? `ready: ${group}` : notRunLine(group, missing));
    if (missing.length > 0) process.exitCode = 1;
  }
}
