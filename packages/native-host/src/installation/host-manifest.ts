import { isAbsolute, join } from 'node:path';
import { nativeHostName } from '@countersign/protocol/native-messages';
import { writePublicFile } from './public-file.ts';

export type HostManifestInput = {
  /** Absolute path of the launcher; browsers find no relative one. */
  readonly launcherPath: string;
  /**
   * Extensions that may start the host. For Chromium and its relatives 32 letters a to p each; for Firefox the id of
   * the extension's manifest, `name@domain` or a UUID in braces.
   */
  readonly extensionIds: readonly [string, ...string[]];
  /** Whose form the manifest has. Default `chromium`, for Chrome and Edge as well. */
  readonly form?: HostManifestForm;
};

export type HostManifestForm = 'chromium' | 'firefox';

const extensionIdForms: Readonly<Record<HostManifestForm, RegExp>> = {
  chromium: /^[a-p]{32}$/,
  firefox: /^(\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|[a-z0-9-._]*@[a-z0-9-._]+)$/i,
};

/** The manifest by which a browser finds the host. */
export function renderHostManifest(input: HostManifestInput): string {
  const { launcherPath, extensionIds, form = 'chromium' } = input;
  if (!isAbsolute(launcherPath)) throw new TypeError(`not an absolute path: ${launcherPath}`);
  const wrong = extensionIds.find((id) => !extensionIdForms[form].test(id));
  if (wrong !== undefined) throw new TypeError(`not an extension id: ${wrong}`);
  const manifest = {
    name: nativeHostName,
    description: 'Countersign: proves that this is a managed device',
    path: launcherPath,
    type: 'stdio',
    ...(form === 'firefox'
      ? { allowed_extensions: extensionIds }
      : { allowed_origins: extensionIds.map((id) => `chrome-extension://${id}/`) }),
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/**
 * Writes the manifest into a browser's folder for them, in place of an older one. `hostManifestPlace()` knows the
 * folders.
 *
 * @returns the manifest's path
 */
export function writeHostManifest(directory: string, input: HostManifestInput): string {
  const path = join(directory, `${nativeHostName}.json`);
  writePublicFile(path, renderHostManifest(input), 0o644);
  return path;
}
