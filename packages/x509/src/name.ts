import { type Bytes, compareBytes } from './bytes.ts';
import { DerReader } from './der/reader.ts';
import { tag } from './der/tag.ts';
import { assertWellFormedElement, decodeString } from './der/well-formed.ts';
import { encodeOid, encodeSequence, encodeSetOf, encodeUtf8String } from './der/writer.ts';
import { oid } from './object-identifiers.ts';
import { attempt, X509Error, type X509Result } from './result.ts';

/** A distinguished name. Two names are the same when their DER is: nothing is ever normalised. */
export interface Name {
  readonly der: Bytes;
  /** For display only, never identity. Undefined unless there is exactly one, in a common type. */
  readonly commonName: string | undefined;
  readonly isEmpty: boolean;
}

const maxCommonNameCharacters = 64;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses.
const controlCharacter = /[\x00-\x1f\x7f-\x9f]/;

/**
 * Name with one attribute, the common name as UTF8String (RFC 5280 §4.1.2.4): 1 to 64 characters
 * (ub-common-name), no control characters.
 */
export function encodeName(commonName: string): X509Result<Bytes> {
  return attempt(() => {
    const characters = [...commonName].length;
    if (characters < 1 || characters > maxCommonNameCharacters) {
      throw new X509Error('field_not_allowed', 'commonName: 1 to 64 characters');
    }
    if (controlCharacter.test(commonName) || !commonName.isWellFormed()) {
      throw new X509Error('field_not_allowed', 'commonName: character not allowed');
    }
    const attribute = encodeSequence(encodeOid(oid.commonName), encodeUtf8String(commonName));
    return encodeSequence(encodeSetOf(attribute));
  });
}

/** The next element as a Name: well-formed all the way down, meaning of the attributes aside. */
export function readName(outer: DerReader, what: string): Name {
  const der = outer.element(tag.sequence, what);
  const relativeNames = new DerReader(der).enter(tag.sequence, what);
  const isEmpty = relativeNames.atEnd;
  const commonNames: (string | undefined)[] = [];
  while (!relativeNames.atEnd) {
    const attributes = relativeNames.enter(tag.set, what);
    if (attributes.atEnd) throw new X509Error('malformed_structure', `${what}: empty RDN`);
    let previous: Bytes | undefined;
    while (!attributes.atEnd) {
      const attribute = attributes.element(tag.sequence, what);
      if (previous !== undefined && compareBytes(previous, attribute) >= 0) {
        throw new X509Error('malformed_der', `${what}: set not in order`);
      }
      previous = attribute;
      readAttribute(attribute, what, commonNames);
    }
  }
  return { der, isEmpty, commonName: commonNames.length === 1 ? commonNames[0] : undefined };
}

function readAttribute(der: Bytes, what: string, commonNames: (string | undefined)[]): void {
  const attribute = new DerReader(der).enter(tag.sequence, what);
  const type = attribute.objectIdentifier(what);
  const valueTag = attribute.peekTag() ?? 0;
  const value = attribute.element(valueTag, what);
  attribute.finish(what);
  assertWellFormedElement(value, what);
  if (type !== oid.commonName) return;
  const content = new DerReader(value).content(valueTag, what);
  const text = displayTypes.has(valueTag) ? decodeString(valueTag, content, what) : undefined;
  // A NUL or a line break in a name is an attack on whoever prints it (CVE-2009-2408).
  if (text !== undefined && controlCharacter.test(text)) {
    throw new X509Error('name_not_allowed', `${what}: control character in the common name`);
  }
  commonNames.push(text);
}

const displayTypes: ReadonlySet<number> = /* @__PURE__ */ new Set([
  tag.utf8String,
  tag.printableString,
  tag.ia5String,
]);
