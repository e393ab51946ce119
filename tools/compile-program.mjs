// The compiled form of the native host's program: see packages/native-host/src/start.ts.
import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

/** Makes a CommonJS bundle one expression: a function that takes `require`. */
export const programBanner = '(function(require){var module={exports:{}};';
export const programFooter = '})';

/**
 * Ends the program with a tag of its content, and compiles all of its functions.
 *
 * @param {Uint8Array} program ASCII, between banner and footer
 * @returns {{ tagged: Uint8Array, compiled: Uint8Array }} the compiled form ends with the same tag
 */
export function compileProgram(program) {
  const tag = createHash('sha256').update(program).digest('base64url');
  const tagged = Buffer.concat([program, Buffer.from(`//${tag}`)]);
  // Otherwise only what has run would be in the compiled form.
  setFlagsFromString('--no-lazy');
  try {
    const script = new Script(tagged.toString('latin1'));
    setFlagsFromString('--lazy');
    return { tagged, compiled: Buffer.concat([script.createCachedData(), Buffer.from(tag)]) };
  } finally {
    setFlagsFromString('--lazy');
  }
}
