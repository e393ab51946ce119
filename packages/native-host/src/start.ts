import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';

/**
 * What is started on a device: it runs the bundled program beside it, of which the build has kept V8's compiled form
 * too. Compiling takes longer than answering a message. A compiled form that is missing, of another program or of
 * another V8 changes nothing but the time. Both files are as trusted as this one: they lie in its folder.
 */

// The build makes this a CommonJS module.
declare const __dirname: string;
declare const require: NodeJS.Require;

const tagCharacters = 43;

const filename = join(__dirname, 'countersign-program.js');
// The program is ASCII.
const source = readFileSync(filename, 'latin1');
const cachedData = readCompiled(source.slice(-tagCharacters));
const script = new Script(source, {
  filename,
  ...(cachedData === undefined ? {} : { cachedData }),
});
// The program is an expression: a function that takes `require`.
script.runInThisContext()(require);

/** V8 looks at the length of the source alone, so the compiled form ends with the tag of the program it is of. */
function readCompiled(tag: string): Buffer | undefined {
  let compiled: Buffer;
  try {
    compiled = readFileSync(join(__dirname, 'countersign-program.compiled'));
  } catch {
    return undefined;
  }
  return compiled.toString('latin1', compiled.length - tagCharacters) === tag
    ? compiled.subarray(0, -tagCharacters)
    : undefined;
}
