import { homedir } from 'node:os';
import { posix, win32 } from 'node:path';

/** Where things are unless the command line or the configuration says otherwise, by operating system. */

export function defaultConfigurationPath(platform: NodeJS.Platform = process.platform): string {
  switch (platform) {
    case 'darwin':
      return '/Library/Application Support/Countersign/host.json';
    case 'win32':
      return win32.join(process.env.ProgramData ?? 'C:\\ProgramData', 'Countersign', 'host.json');
    default:
      return '/etc/countersign/host.json';
  }
}

/** The person's own folder: browsers start the host as the person who uses them. */
export function defaultStateDirectory(
  platform: NodeJS.Platform = process.platform,
  home: string = homedir(),
): string {
  switch (platform) {
    case 'darwin':
      return posix.join(home, 'Library', 'Application Support', 'Countersign');
    case 'win32':
      return win32.join(home, 'AppData', 'Local', 'Countersign');
    default:
      return posix.join(home, '.local', 'state', 'countersign');
  }
}
