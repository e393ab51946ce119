import { type Bytes, concatBytes } from '../bytes.ts';

/** An element taken apart without any of the parser's code, so that tests can put it together wrongly. */
export interface DerNode {
  readonly tag: number;
  /** Undefined for a primitive. */
  readonly children: readonly DerNode[] | undefined;
  readonly content: Bytes;
}

/** How one element's header may be written; `short` is the only one that DER knows. */
export type LengthForm = 'short' | 'one-octet-more' | 'indefinite';

/** Takes canonical DER apart, opening OCTET STRINGs that hold an element, as extensions do. */
export function parseTree(der: Uint8Array): DerNode {
  const [node, end] = parseAt(new Uint8Array(der), 0);
  if (end !== der.length) throw new Error('not one element');
  return node;
}

function parseAt(der: Bytes, start: number): [DerNode, number] {
  const tag = der[start] ?? 0;
  let offset = start + 2;
  let length = der[start + 1] ?? 0;
  if (length > 0x80) {
    const count = length - 0x80;
    length = Number(`0x${Buffer.from(der.subarray(offset, offset + count)).toString('hex')}`);
    offset += count;
  }
  const content = der.subarray(offset, offset + length);
  const constructed = (tag & 0x20) !== 0 || (tag === 0x04 && opens(content));
  if (!constructed) return [{ tag, children: undefined, content }, offset + length];
  const children: DerNode[] = [];
  for (let at = 0; at < content.length; ) {
    const [child, end] = parseAt(content, at);
    children.push(child);
    at = end;
  }
  return [{ tag, children, content }, offset + length];
}

function opens(content: Bytes): boolean {
  const tags = [0x30, 0x04, 0x03];
  return content.length > 1 && tags.includes(content[0] ?? 0) && content[1] === content.length - 2;
}

/** All elements of a tree, outermost first. */
export function nodesOf(node: DerNode): DerNode[] {
  return [node, ...(node.children ?? []).flatMap(nodesOf)];
}

/** Puts a tree together; elements for which `rewrite` gives bytes are written as those bytes. */
export function encodeTree(
  node: DerNode,
  rewrite: (node: DerNode, content: Bytes) => Bytes | undefined = () => undefined,
): Bytes {
  const content = node.children
    ? concatBytes(...node.children.map((child) => encodeTree(child, rewrite)))
    : node.content;
  return rewrite(node, content) ?? encodeHeader(node.tag, content, 'short');
}

export function encodeHeader(tag: number, content: Bytes, form: LengthForm): Bytes {
  if (form === 'indefinite') {
    return concatBytes(new Uint8Array([tag, 0x80]), content, new Uint8Array(2));
  }
  const digits = content.length.toString(16);
  const octets = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
  const short = content.length < 0x80 && form === 'short';
  const padding = form === 'one-octet-more' && content.length >= 0x80 ? [0] : [];
  const header = short
    ? [tag, content.length]
    : [tag, 0x80 | (octets.length + padding.length), ...padding, ...octets];
  return concatBytes(new Uint8Array(header), content);
}
