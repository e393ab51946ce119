import { isWantedPlace } from '../criteria/network.ts';
import type { RequestFacts } from '../facts.ts';
import type { PolicyRule } from '../policy-document.ts';
import { type NetworkZone, readAddress, readBlock, type Zones } from '../zones.ts';
import { RuleSet } from './rule-set.ts';

/** IPv4 as a number, for the many addresses of that form; -1 for what is none. */
export function ipv4Of(text: string): number {
  let value = 0;
  let part = -1;
  let parts = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? 46 : text.charCodeAt(i);
    if (code === 46) {
      if (part < 0 || parts === 4) return -1;
      value = value * 256 + part;
      parts += 1;
      part = -1;
    } else if (code >= 48 && code <= 57 && part !== 0) {
      part = part < 0 ? code - 48 : part * 10 + code - 48;
      if (part > 255) return -1;
    } else {
      return -1;
    }
  }
  return parts === 4 ? value : -1;
}

const mappedIpv4 = 0xffff_0000_0000n;

/**
 * Which rules an address is right for. Blocks cut the addresses into stretches; of each it is known beforehand, so that
 * a question is one search, however many zones and blocks there are.
 */
export class NetworkIndex {
  /** First addresses of the stretches, ascending; the first is 0. */
  readonly #starts: readonly bigint[];
  readonly #rulesOf: readonly RuleSet[];
  /** The stretches that IPv4 lies in, by numbers of 32 bits. */
  readonly #ipv4Starts: Float64Array;
  readonly #ipv4From: number;

  constructor(rules: readonly PolicyRule[], zones: Zones) {
    const named = new Set(
      rules.flatMap(({ when }) => [
        ...(when.network?.zones ?? []),
        ...(when.network?.except_zones ?? []),
      ]),
    );
    const asksLocation = rules.some(({ when }) => when.network?.location !== undefined);
    const used = zones.filter(
      (zone) => named.has(zone.zone_id) || (asksLocation && zone.on_network),
    );
    const cuts = new Set([0n, mappedIpv4, mappedIpv4 + (1n << 32n)]);
    for (const { blocks } of used) {
      for (const text of blocks) {
        const block = readBlock(text);
        if (block === undefined) continue;
        cuts.add(block.first);
        cuts.add(block.last + 1n);
      }
    }
    this.#starts = [...cuts].toSorted((a, b) => (a < b ? -1 : 1));
    this.#rulesOf = rulesOfStretches(rules, used, this.#starts);
    const inIpv4 = this.#starts.flatMap((start, place) =>
      start >= mappedIpv4 && start < mappedIpv4 + (1n << 32n) ? [{ start, place }] : [],
    );
    this.#ipv4From = inIpv4[0]?.place ?? 0;
    this.#ipv4Starts = Float64Array.from(inIpv4, ({ start }) => Number(start - mappedIpv4));
  }

  /** `undefined` when nobody said where the person is. */
  find({ ipAddress }: RequestFacts): RuleSet | undefined {
    if (ipAddress === undefined) return undefined;
    const ipv4 = ipv4Of(ipAddress);
    if (ipv4 >= 0) return this.#rulesOf[this.#ipv4From + lastAtMost(this.#ipv4Starts, ipv4)];
    const address = readAddress(ipAddress);
    return address === undefined ? undefined : this.#rulesOf[lastAtMost(this.#starts, address)];
  }
}

/** The place of the last one that is not greater. The first is never greater. */
function lastAtMost<Value extends number | bigint>(
  ascending: { readonly length: number; readonly [place: number]: Value },
  value: Value,
): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((ascending[middle] as Value) <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Of each stretch, by the criterion itself, so that both ways agree on what a condition means. */
function rulesOfStretches(
  rules: readonly PolicyRule[],
  zones: readonly NetworkZone[],
  starts: readonly bigint[],
): RuleSet[] {
  const known = new Map<string, RuleSet>();
  const blocksOf = zones.map((zone) => ({
    ...zone,
    ranges: zone.blocks.flatMap((text) => readBlock(text) ?? []),
  }));
  return starts.map((start) => {
    // Every address of a stretch is in the same zones as its first one.
    const inZones = blocksOf.filter(({ ranges }) =>
      ranges.some(({ first, last }) => first <= start && start <= last),
    );
    const key = inZones.map(({ zone_id }) => zone_id).join(' ');
    let found = known.get(key);
    if (found === undefined) {
      found = new RuleSet(rules.length);
      for (const [place, { when }] of rules.entries()) {
        if (when.network === undefined || isWantedPlace(when.network, inZones)) found.add(place);
      }
      known.set(key, found);
    }
    return found;
  });
}
