import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { getJsonFromSocket } from '../testing/get-json-from-socket.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { makeSocketDirectory } from './socket-directory.ts';
import {
  capnpText,
  durableObjectClasses,
  workerdConfigurationText,
} from './workerd-configuration.ts';
import { superviseWorkerd } from './workerd-supervisor.ts';

describe('capnpText', () => {
  it.each([
    ['', '""'],
    ['plain text', '"plain text"'],
    ['say "no"', '"say \\"no\\""'],
    ['back\\slash', '"back\\\\slash"'],
    ['two\nlines\r', '"two\\012lines\\015"'],
    ['é', '"\\303\\251"'],
    ['\u007f', '"\\177"'],
    ['# not a comment', '"# not a comment"'],
  ])('writes %j as %s', (value, literal) => {
    expect(capnpText(value)).toBe(literal);
  });

  it('refuses NUL, which a text cannot hold', () => {
    expect(() => capnpText('a\0b')).toThrow(RangeError);
  });
});

const nastyValues = {
  QUOTES: '"), (name = "OWNED", text = "yes',
  BACKSLASHES: '\\" \\\\" \\x41 \\n \\',
  LINES: 'a\nb\r\nc\u2028d\u0085e',
  CONTROL: Array.from({ length: 31 }, (_, index) => String.fromCharCode(index + 1)).join(''),
  DIGITS_AFTER: '\u00017\u00ff0',
  UNICODE: 'ß 漢字 😀 \ufeff',
  BRACES: '$(x) `y` {{z}} %s @0x0; # embed "f"',
};

describe('workerdConfigurationText', () => {
  it('gives workerd exactly the values that went in', async () => {
    const directory = temporaryDirectory();
    const bindings = durableObjectClasses.map(({ binding }) => binding).join(', ');
    const nastyName = join(directory, 'a "quoted" wörker\\.js');
    writeFileSync(
      nastyName,
      `import { DurableObject } from 'cloudflare:workers';
       ${durableObjectClasses
         .map(({ className }) => `export class ${className} extends DurableObject {}`)
         .join('\n')}
       export default { fetch(request, { ${bindings}, ...texts }) {
         return Response.json(new URL(request.url).pathname === '/healthz' ? { status: 'ok' } : texts);
       } };`,
    );
    const { socket, remove } = makeSocketDirectory();
    onTestFinished(remove);
    const path = join(directory, 'workerd.capnp');
    writeFileSync(
      path,
      workerdConfigurationText({
        path,
        workerBundle: nastyName,
        socket,
        durableObjects: directory,
        texts: nastyValues,
        keys: {},
      }),
    );
    const supervisor = await superviseWorkerd({
      configurationPath: path,
      socket,
      log: { write: () => undefined, passThrough: () => undefined },
      onProcess: () => undefined,
    });
    onTestFinished(() => supervisor.stop());
    expect(await getJsonFromSocket(socket)).toEqual(nastyValues);
  });
});
