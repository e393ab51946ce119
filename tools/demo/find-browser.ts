import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** A browser that takes an unpacked extension from its starter. */
export type FoundBrowser = { readonly name: string; readonly path: string };

/** In this order: the freest build first, because a company's policy rarely reaches it. */
const candidates: ReadonlyArray<{ readonly name: string; readonly programs: readonly string[] }> = [
  {
    name: 'Chromium',
    programs: [
      'chromium',
      'chromium-browser',
      '/Applications/Chromium.app/Contents/MacOS/Chromium',
    ],
  },
  {
    name: 'Chrome',
    programs: [
      'google-chrome-stable',
      'google-chrome',
      '/opt/google/chrome/chrome',
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    ],
  },
  {
    name: 'Edge',
    programs: [
      'microsoft-edge-stable',
      'microsoft-edge',
      '/opt/microsoft/msedge/msedge',
      '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
    ],
  },
];

export const whatToInstall =
  'Install Chromium (Debian and Ubuntu: apt install chromium; Fedora: dnf install chromium), Chrome or Edge, or name one with --browser PATH.';

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The first browser that is there.
 *
 * @param searchPath the value of `PATH`
 * @param named a program that the person chose; then no other is looked for
 */
export function findBrowser(
  searchPath: string,
  named: string | undefined,
  isThere: (path: string) => boolean = isProgram,
): FoundBrowser | undefined {
  const folders = searchPath.split(delimiter).filter(isAbsolute);
  const locate = (program: string) =>
    program.includes('/')
      ? [program].find(isThere)
      : folders.map((folder) => join(folder, program)).find(isThere);
  if (named !== undefined) {
    const path = locate(named);
    return path === undefined ? undefined : { name: named, path };
  }
  for (const { name, programs } of candidates) {
    for (const program of programs) {
      const path = locate(program);
      if (path !== undefined) return { name, path };
    }
  }
  return undefined;
}
