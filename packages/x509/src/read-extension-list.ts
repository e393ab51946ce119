import { DerReader } from './der/reader.ts';
import { tag } from './der/tag.ts';
import { assertWellFormedElement } from './der/well-formed.ts';
import { X509Error } from './result.ts';

/** Reads one extension's value to its end and returns true; or returns false, having read nothing. */
export type ExtensionReader = (id: string, value: DerReader, isCritical: boolean) => boolean;

/**
 * Reads Extensions (RFC 5280 §4.1, §5.1; RFC 6960 §4.1). Each identifier may occur once. An extension
 * that `readKnown` does not know refuses the whole when it is critical; otherwise only its form is
 * checked.
 */
export function readExtensionList(outer: DerReader, readKnown: ExtensionReader): void {
  const list = outer.enter(tag.sequence, 'extensions');
  if (list.atEnd) throw new X509Error('malformed_structure', 'extensions: none');
  const seen = new Set<string>();
  while (!list.atEnd) {
    const extension = list.enter(tag.sequence, 'extension');
    const id = extension.objectIdentifier('extension');
    const hasCritical = extension.peekTag() === tag.boolean;
    const isCritical = hasCritical && extension.boolean('critical');
    if (hasCritical && !isCritical) {
      throw new X509Error('malformed_der', 'critical: FALSE is the default and not written');
    }
    const octets = extension.content(tag.octetString, 'extension value');
    const value = new DerReader(octets);
    extension.finish('extension');
    if (seen.has(id)) throw new X509Error('duplicate_extension', `extension ${id}: twice`);
    seen.add(id);
    if (readKnown(id, value, isCritical)) {
      value.finish(`extension ${id}`);
    } else if (isCritical) {
      throw new X509Error('unknown_critical_extension', `extension ${id}: critical, not known`);
    } else {
      assertWellFormedElement(octets, `extension ${id}`);
    }
  }
}
