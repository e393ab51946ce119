import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

/** A page's script with its libraries in it, as the browser gets it. */
export function bundlePageScript(name: 'sign-in' | 'passkey'): string {
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL(`./browser/${name}.ts`, import.meta.url))],
    bundle: true,
    format: 'iife',
    minify: true,
    target: 'es2022',
    write: false,
  });
  const [script] = outputFiles;
  if (script === undefined) throw new Error('the page script came out empty');
  return script.text;
}
