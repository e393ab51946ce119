import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

/** The sign-in page's script with the SDK in it, as the browser gets it. */
export function bundlePageScript(): string {
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL('./browser/sign-in.ts', import.meta.url))],
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
