import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';

/** In a stack trace of workerd: `at name (index.js:1:23)` or `at index.js:1:23`. */
const place = /(?<=\bat (?:[^()"\\]{1,256} \()?)index\.js:(\d{1,9}):(\d{1,9})\b/g;

function readSourceMap(workerBundle: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${workerBundle}.map`, 'utf8')));
  } catch {
    // A bundle of somebody's own need not have one; the places in it are still places.
    return undefined;
  }
}

/**
 * The bundled worker is small at the price of its names. What this returns puts places in the source where a line of
 * the log names places in the bundle. The source map is read once, for the first such line.
 *
 * @param workerBundle path of the bundle; the map is beside it, as `….map`
 */
export function createStackReader(workerBundle: string): (line: string) => string {
  let read: { readonly sourceMap: SourceMap | undefined } | undefined;
  return (line) =>
    line.replaceAll(place, (found, row: string, column: string) => {
      read ??= { sourceMap: readSourceMap(workerBundle) };
      const origin = read.sourceMap?.findOrigin(Number(row), Number(column));
      if (origin === undefined || !('fileName' in origin)) return found;
      const file = origin.fileName.replace(/^(\.\.\/)+/, '');
      return `${file}:${origin.lineNumber}:${origin.columnNumber}`;
    });
}
