import { type Bytes, compareBytes } from '../bytes.ts';
import { X509Error } from '../result.ts';
import { DerReader } from './reader.ts';
import { tag } from './tag.ts';

const maxDepth = 12;

/**
 * Walks one element whose meaning is not looked at (a name's attribute value, an attribute of a
 * request) and refuses it unless it is canonical DER all the way down. What is inside a
 * primitive of another class than universal cannot be judged and is left alone.
 */
export function assertWellFormedElement(element: Bytes, what: string): void {
  const reader = new DerReader(element);
  walk(reader, what, maxDepth);
  reader.finish(what);
}

function walk(reader: DerReader, what: string, depthLeft: number): void {
  if (depthLeft === 0) throw new X509Error('nested_too_deeply', `${what}: nested too deeply`);
  const identifier = reader.peekTag();
  if (identifier === undefined) throw new X509Error('malformed_der', `${what}: missing`);
  if ((identifier & 0x1f) === 0x1f) {
    throw new X509Error('malformed_der', `${what}: high tag number`);
  }
  const isUniversal = identifier < 0x40;
  if (identifier === tag.set) {
    walkSet(reader, what, depthLeft);
  } else if (identifier === tag.sequence || (!isUniversal && (identifier & 0x20) !== 0)) {
    const inner = reader.enter(identifier, what);
    while (!inner.atEnd) walk(inner, what, depthLeft - 1);
  } else if (isUniversal) {
    readPrimitive(reader, identifier, what);
  } else {
    reader.content(identifier, what);
  }
}

/** SET and SET OF look alike here; both are in ascending order of their encodings or tags. */
function walkSet(reader: DerReader, what: string, depthLeft: number): void {
  const inner = reader.enter(tag.set, what);
  let previous: Bytes | undefined;
  while (!inner.atEnd) {
    const member = inner.element(inner.peekTag() ?? 0, what);
    walk(new DerReader(member), what, depthLeft - 1);
    if (previous !== undefined && compareBytes(previous, member) > 0) {
      throw new X509Error('malformed_der', `${what}: set not in order`);
    }
    previous = member;
  }
}

function readPrimitive(reader: DerReader, identifier: number, what: string): void {
  switch (identifier) {
    case tag.boolean:
      reader.boolean(what);
      return;
    case tag.integer:
    case tag.enumerated:
      reader.integer(what, identifier);
      return;
    case tag.bitString:
      assertBitString(reader.content(identifier, what), what);
      return;
    case tag.null:
      reader.null(what);
      return;
    case tag.objectIdentifier:
      reader.objectIdentifier(what);
      return;
    case tag.octetString:
    case tag.teletexString:
      reader.content(identifier, what);
      return;
    case tag.universalString:
    case tag.bmpString: {
      const unit = identifier === tag.bmpString ? 2 : 4;
      if (reader.content(identifier, what).length % unit !== 0) {
        throw new X509Error('malformed_der', `${what}: string cut inside a character`);
      }
      return;
    }
    default:
      decodeString(identifier, reader.content(identifier, what), what);
  }
}

function assertBitString(content: Bytes, what: string): void {
  const unused = content[0];
  const last = content[content.length - 1] ?? 0;
  const padding = (1 << (unused ?? 0)) - 1;
  if (unused === undefined || unused > 7 || (content.length === 1 && unused !== 0)) {
    throw new X509Error('malformed_der', `${what}: unused bits`);
  }
  if (content.length > 1 && (last & padding) !== 0) {
    throw new X509Error('malformed_der', `${what}: padding bits set`);
  }
}

/** Character sets of X.680 §41 and, for the two times, the form that X.690 §11.7 and §11.8 leave. */
const restrictedStrings: ReadonlyMap<number, RegExp> = /* @__PURE__ */ new Map([
  [tag.numericString, /^[0-9 ]*$/],
  [tag.printableString, /^[A-Za-z0-9 '()+,\-./:=?]*$/],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: IA5String is all of ASCII, controls included.
  [tag.ia5String, /^[\x00-\x7f]*$/],
  [tag.visibleString, /^[ -~]*$/],
  [tag.utcTime, /^[0-9]{12}Z$/],
  [tag.generalizedTime, /^[0-9]{14}(\.[0-9]*[1-9])?Z$/],
]);

/** The text of a string type whose characters can be checked; any other type is refused. */
export function decodeString(identifier: number, content: Bytes, what: string): string {
  const allowed = restrictedStrings.get(identifier);
  if (allowed === undefined && identifier !== tag.utf8String) {
    throw new X509Error('malformed_structure', `${what}: type not allowed`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    throw new X509Error('malformed_der', `${what}: not UTF-8`);
  }
  if (allowed !== undefined && !allowed.test(text)) {
    throw new X509Error('malformed_der', `${what}: character not allowed`);
  }
  return text;
}
