// Packages with native code, which cannot be part of a bundle: they lie in node_modules beside it.
import { globSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';

/** What runs of a package, with its manifest and its license; headers and C++ sources stay out. */
const neededFiles = ['package.json', 'LICENSE*', 'index.*js', 'src/**/*.cjs', '*/koffi.node'];

/**
 * The files of koffi and of its native code for this machine, as the package in `folder` finds them.
 *
 * @param {string} folder absolute
 * @returns {{ path: string, contents: Uint8Array }[]} paths below `node_modules`
 */
export function koffiFiles(folder) {
  const koffi = dirname(createRequire(join(folder, 'package.json')).resolve('koffi'));
  const modules = dirname(koffi);
  const scope = '@koromix';
  const platforms = readdirSync(join(modules, scope)).map((name) => `${scope}/${name}`);
  return ['koffi', ...platforms].flatMap((name) => {
    const cwd = realpathSync(join(modules, name));
    return globSync(neededFiles, { cwd })
      .toSorted()
      .map((path) => ({
        path: `${name}/${path.replaceAll(sep, '/')}`,
        contents: readFileSync(join(cwd, path)),
      }));
  });
}
