import { isAbsolute, join } from 'node:path';
import { nativeHostName } from '@countersign/protocol/native-messages';
import { writePublicFile } from './public-file.ts';

export type HostManifestInput = {
  /** Absolute path of the launcher; browsers find no relative one. */
  readonly launcherPath: string;
  /** Extensions that may start the host: 32 letters a to p each. */
  readonly extensionIds: readonly [string, ...string[]];
};

const chromiumExtensionId = /^[a-p]{32}$/;

/** The manifest by which Chromium and its relatives find the host. */
export function renderHostManifest({ launcherPath, extensionIds }: HostManifestInput): string {
  if (!isAbsolute(launcherPath)) throw new TypeError(`not an absolute path: ${launcherPath}`);
  const wrong = extensionIds.find((id) => !chromiumExtensionId.test(id));
  if (wrong !== undefined) throw new TypeError(`not an extension id: ${wrong}`);
  const manifest = {
    name: nativeHostName,
    description: 'Countersign: proves that this is a managed device',
    path: launcherPath,
    type: 'stdio',
    allowed_origins: extensionIds.map((id) => `chrome-extension://${id}/`),
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/**
 * Writes the manifest into a browser's folder for them, in place of an older one.
 *
 * @returns the manifest's path
 */
export function writeHostManifest(directory: string, input: HostManifestInput): string {
  const path = join(directory, `${nativeHostName}.json`);
  writePublicFile(path, renderHostManifest(input), 0o644);
  return path;
}
