// The packages of the workspace, by the folder that they lie in.

/** The folder of the package that a path belongs to: `packages/protocol`, `worker`, `extension`, or undefined. */
export function packageOf(path: string): string | undefined {
  return /^(packages\/[^/]+|worker|extension)(?=\/)/.exec(path)?.[0];
}

/** `@countersign/protocol` is `packages/protocol`; the worker and the extension lie at the top. */
export function folderOfPackage(name: string): string | undefined {
  const short = /^@countersign\/([^/]+)$/.exec(name)?.[1];
  if (short === undefined) return undefined;
  return short === 'worker' || short === 'extension' || short === 'test'
    ? short
    : `packages/${short}`;
}
