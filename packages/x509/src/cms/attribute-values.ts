import type { Bytes } from '../bytes.ts';
import { textBytes } from '../bytes.ts';
import { DerReader } from '../der/reader.ts';
import { tag } from '../der/tag.ts';
import { decodeString } from '../der/well-formed.ts';
import { encodeElement, encodeOctetString, encodeUtf8String } from '../der/writer.ts';
import { attempt, type X509Result } from '../result.ts';

/** The text of an attribute's value that must be one PrintableString. */
export function readPrintableValue(element: Bytes): X509Result<string> {
  return attempt(() => {
    const reader = new DerReader(element);
    const content = reader.content(tag.printableString, 'attribute');
    reader.finish('attribute');
    return decodeString(tag.printableString, content, 'attribute');
  });
}

/** The octets of an attribute's value that must be one OCTET STRING. */
export function readOctetsValue(element: Bytes): X509Result<Bytes> {
  return attempt(() => {
    const reader = new DerReader(element);
    const content = reader.content(tag.octetString, 'attribute');
    reader.finish('attribute');
    return content;
  });
}

/** The caller has checked that the text is of the letters of a PrintableString. */
export function printableValue(text: string): Bytes {
  return encodeElement(tag.printableString, textBytes(text));
}

export const octetsValue = encodeOctetString;
export const utf8Value = encodeUtf8String;
