/** DER by hand, for messages that no library would make. */
export type DerValue = Uint8Array<ArrayBuffer>;

export function joinBytes(...parts: readonly Uint8Array[]): DerValue {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

export function der(tag: number, ...contents: readonly Uint8Array[]): DerValue {
  const content = joinBytes(...contents);
  const { length } = content;
  const lengthOctets =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return joinBytes(Uint8Array.from([tag, ...lengthOctets]), content);
}

/** The same element in BER, with an indefinite length (X.690 section 8.1.3.6). */
export function indefinite(tag: number, ...contents: readonly Uint8Array[]): DerValue {
  return joinBytes(Uint8Array.from([tag, 0x80]), ...contents, new Uint8Array(2));
}

export const sequence = (...contents: readonly Uint8Array[]): DerValue => der(0x30, ...contents);
/** Members in ascending order of their encodings. */
export const setOf = (...members: readonly Uint8Array[]): DerValue =>
  der(0x31, ...members.toSorted((one, other) => Buffer.compare(one, other)));
export const octetString = (content: Uint8Array): DerValue => der(0x04, content);
export const smallInteger = (value: number): DerValue => der(0x02, Uint8Array.from([value]));
export const printableString = (text: string): DerValue => der(0x13, Buffer.from(text, 'latin1'));
export const utf8String = (text: string): DerValue => der(0x0c, Buffer.from(text, 'utf8'));
export const bitString = (content: Uint8Array): DerValue => der(0x03, new Uint8Array(1), content);
export const nothing = (): DerValue => der(0x05);

export function objectIdentifier(dotted: string): DerValue {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const octets = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      groups.unshift((left % 128) + 128);
    }
    return groups;
  });
  return der(0x06, Uint8Array.from(octets));
}

/** Tag and content of the element at the start, and what follows it. Definite lengths alone. */
export function readElement(bytes: Uint8Array) {
  const first = bytes[1] ?? 0;
  const count = first < 0x80 ? 0 : first & 0x7f;
  let length = first;
  if (count > 0) {
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[2 + i] ?? 0);
  }
  const start = 2 + count;
  return {
    tag: bytes[0] ?? 0,
    content: bytes.subarray(start, start + length),
    element: bytes.subarray(0, start + length),
    rest: bytes.subarray(start + length),
  };
}

/** The elements inside of a constructed one. */
export function readMembers(content: Uint8Array): ReturnType<typeof readElement>[] {
  const members: ReturnType<typeof readElement>[] = [];
  for (let rest = content; rest.length > 0; ) {
    const member = readElement(rest);
    members.push(member);
    rest = member.rest;
  }
  return members;
}
