import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { Posture } from '@countersign/protocol/device-response';

const maxVersionCharacters = 128;

/** Where the facts come from; replaced in tests. */
export type PostureSources = {
  readonly platform: NodeJS.Platform;
  /** The file's text, `undefined` when it cannot be read. */
  readonly readText: (path: string) => string | undefined;
  readonly kernelRelease: string;
};

/** Platform and version of the operating system: recorded with every response, advisory, since the device says so itself. */
export function readPosture(sources: PostureSources = machineSources()): Posture {
  // The kernel of macOS has numbers of its own, which are higher than those of the system.
  const fallback = sources.platform === 'darwin' ? '' : sources.kernelRelease;
  const version = readVersion(sources) ?? fallback;
  return {
    platform: platformOf(sources.platform),
    os_version: version.slice(0, maxVersionCharacters),
  };
}

function platformOf(platform: NodeJS.Platform): Posture['platform'] {
  switch (platform) {
    case 'linux':
      return 'linux';
    case 'darwin':
      return 'macos';
    case 'win32':
      return 'windows';
    default:
      return 'other';
  }
}

function readVersion({ platform, readText }: PostureSources): string | undefined {
  switch (platform) {
    case 'linux':
      return linuxVersion(readText('/etc/os-release') ?? readText('/usr/lib/os-release'));
    case 'darwin':
      return readText('/System/Library/CoreServices/SystemVersion.plist')?.match(
        /<key>ProductVersion<\/key>\s*<string>([^<]+)<\/string>/,
      )?.[1];
    // Elsewhere the kernel's release is the version people know: 10.0.22631 on Windows.
    default:
      return undefined;
  }
}

/** `ID` and, where the distribution has versions, `VERSION_ID` (os-release(5)): `debian 12`. */
function linuxVersion(osRelease: string | undefined): string | undefined {
  const readValue = (name: string) => {
    const raw = osRelease?.match(new RegExp(`^${name}=(.*)$`, 'm'))?.[1]?.trim();
    return raw?.replace(/^(["'])(.*)\1$/, '$2');
  };
  const words = [readValue('ID'), readValue('VERSION_ID')].filter((word) => word);
  return words.length === 0 ? undefined : words.join(' ');
}

function machineSources(): PostureSources {
  return {
    platform: process.platform,
    kernelRelease: release(),
    readText(path) {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        // Systems have one file or the other, or neither.
        return undefined;
      }
    },
  };
}
