/**
 * A set of rules, by their place in the policy: a bit each, 32 to a word, and a bit for each word that is not empty. So
 * at most 1024 rules.
 */
export class RuleSet {
  readonly words: Uint32Array;
  notEmpty = 0;

  constructor(rules: number) {
    this.words = new Uint32Array(Math.ceil(rules / 32));
  }

  add(place: number): void {
    const word = place >>> 5;
    this.words[word] = (this.words[word] ?? 0) | (1 << (place & 31));
    this.notEmpty |= 1 << word;
  }

  addAll({ words, notEmpty }: RuleSet): void {
    for (const [word, bits] of words.entries()) this.words[word] = (this.words[word] ?? 0) | bits;
    this.notEmpty |= notEmpty;
  }
}

/** The set of a value, made when it is first asked for. */
export function setFor<Value>(sets: Map<Value, RuleSet>, value: Value, rules: number): RuleSet {
  let found = sets.get(value);
  if (found === undefined) {
    found = new RuleSet(rules);
    sets.set(value, found);
  }
  return found;
}

/** The place of the lowest of these bits, of which there is one. */
const lowest = (bits: number): number => 31 - Math.clz32(bits & -bits);

/** The rules that are in any of the included sets, in each of the required ones and in none of the excepted ones. */
export class CommonRules {
  readonly included: RuleSet[] = [];
  readonly required: RuleSet[] = [];
  readonly excepted: RuleSet[] = [];

  /** The first such rule from this place on; -1 when there is none. */
  next(from: number): number {
    const first = from >>> 5;
    if (first > 31) return -1;
    for (let words = this.#words() & (~0 << first); words !== 0; words &= words - 1) {
      const word = lowest(words);
      const bits = word === first ? this.#bits(word) & (~0 << (from & 31)) : this.#bits(word);
      if (bits !== 0) return word * 32 + lowest(bits);
    }
    return -1;
  }

  /** Words that could have one. */
  #words(): number {
    let words = 0;
    for (const { notEmpty } of this.included) words |= notEmpty;
    for (const { notEmpty } of this.required) words &= notEmpty;
    return words;
  }

  #bits(word: number): number {
    let bits = 0;
    for (const { words } of this.included) bits |= words[word] ?? 0;
    for (const { words } of this.required) bits &= words[word] ?? 0;
    for (const { words } of this.excepted) bits &= ~(words[word] ?? 0);
    return bits;
  }
}
