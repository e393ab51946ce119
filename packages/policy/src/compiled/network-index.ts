import { isWantedPlace } from '../criteria/network.ts';
import type { RequestFacts } from '../facts.ts';
import type { PolicyRule } from '../policy-document.ts';
import { type NetworkZone, rangesOf, readAddress, type Zones } from '../zones.ts';
import { RuleSet } from './rule-set.ts';

/** IPv4 as a number, for the many addresses of that form; -1 for what is none. */
function ipv4Of(text: string): number {
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
    const edges = edgesOf(used);
    const cuts = new Set([0n, mappedIpv4, mappedIpv4 + (1n << 32n), ...edges.map(({ at }) => at)]);
    this.#starts = [...cuts].toSorted((a, b) => (a < b ? -1 : 1));
    this.#rulesOf = rulesOfStretches(rules, edges, this.#starts);
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
    const at = ascending[middle];
    if (at !== undefined && at <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Where a block of a zone begins, or has ended. */
type Edge = { readonly at: bigint; readonly zone: NetworkZone; readonly step: 1 | -1 };

/** In ascending order. */
function edgesOf(zones: readonly NetworkZone[]): Edge[] {
  return zones
    .flatMap((zone) =>
      rangesOf(zone).flatMap(({ first, last }): Edge[] => [
        { at: first, zone, step: 1 },
        { at: last + 1n, zone, step: -1 },
      ]),
    )
    .toSorted((a, b) => (a.at === b.at ? 0 : a.at < b.at ? -1 : 1));
}

/**
 * Of each stretch, by the criterion itself, so that both ways agree on what a condition means. One walk along the
 * addresses, with the zones that they are in at each moment.
 */
function rulesOfStretches(
  rules: readonly PolicyRule[],
  edges: readonly Edge[],
  starts: readonly bigint[],
): RuleSet[] {
  const known = new Map<string, RuleSet>();
  const blocksAround = new Map<NetworkZone, number>();
  let passed = 0;
  return starts.map((start) => {
    for (let edge = edges[passed]; edge !== undefined && edge.at <= start; edge = edges[passed]) {
      const count = (blocksAround.get(edge.zone) ?? 0) + edge.step;
      if (count === 0) blocksAround.delete(edge.zone);
      else blocksAround.set(edge.zone, count);
      passed += 1;
    }
    const inZones = [...blocksAround.keys()];
    const key = inZones
      .map(({ zone_id }) => zone_id)
      .toSorted()
      .join(' ');
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
