/** What would end a line before its time, or lose its upper half when it is written as Latin-1 (U+010A: a line feed). */
const unwritable = /[\r\n\0]|[^\0-\xff]/;

/**
 * Request line and headers for workerd, with the empty line at their end. Node's parser lets nothing unwritable through;
 * that no part can add a line is checked here once more.
 *
 * @param headers name, value, name, value …
 * @returns `undefined` when a part holds a line end, U+0000 or anything above U+00FF
 */
export function requestHead(
  method: string,
  target: string,
  headers: readonly string[],
): string | undefined {
  const requestLine = `${method} ${target} HTTP/1.1`;
  if (unwritable.test(requestLine)) return undefined;
  let head = `${requestLine}\r\n`;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const line = `${headers[index]}: ${headers[index + 1]}`;
    if (unwritable.test(line)) return undefined;
    head += `${line}\r\n`;
  }
  return `${head}\r\n`;
}
