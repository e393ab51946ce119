import { type ChoiceName, choiceFacts, choiceNames, requestChoices } from '../criteria/choices.ts';
import type { Verdict } from '../criteria/criterion.ts';
import { checkConditions } from '../criteria/index.ts';
import { type Candidate, firstOf, type Match } from '../evaluate.ts';
import type { PolicyFacts, RequestFacts } from '../facts.ts';
import type { ConditionName, Conditions, PolicyDocument, PolicyRule } from '../policy-document.ts';
import { readAddress, type Zones } from '../zones.ts';
import { choiceIndex, trustIndex } from './choice-index.ts';
import { NetworkIndex } from './network-index.ts';
import { PeopleIndex } from './people-index.ts';
import { CommonRules, type RuleSet } from './rule-set.ts';

/** What no index has, because few rules ask for it: looked at rule by rule, of the few that are left. */
const unindexed = ({ posture, certificate_age, time }: Conditions): boolean =>
  posture !== undefined || certificate_age !== undefined || time !== undefined;

type Index<Facts> = { readonly find: (facts: Facts) => RuleSet | undefined };

/** Keeps the rules that each of these allows. False where something was not said: then some are left that do not match. */
function narrow<Facts>(
  left: CommonRules,
  indexes: ReadonlyArray<Index<Facts>>,
  facts: Facts,
): boolean {
  let isCertain = true;
  for (const index of indexes) {
    const found = index.find(facts);
    if (found === undefined) isCertain = false;
    else left.required.push(found);
  }
  return isCertain;
}

/** Conditions about what a record always tells. */
const alwaysKnown: ReadonlySet<string> = new Set<ConditionName>([
  'device_trust',
  'channels',
  'key_protections',
  'enrollment_strengths',
  'certificate_age',
  'time',
]);

/** The conditions that an index of the request has not answered. */
function remainingOf(
  { people: _, network, client_types, platforms, ...others }: Conditions,
  facts: RequestFacts,
): Conditions {
  const { ipAddress } = facts;
  const isPlatformKnown = requestChoices.platforms(facts) !== undefined;
  const isPlaceKnown = ipAddress !== undefined && readAddress(ipAddress) !== undefined;
  return {
    ...others,
    ...(network === undefined || isPlaceKnown ? {} : { network }),
    ...(client_types === undefined || facts.clientType !== undefined ? {} : { client_types }),
    ...(platforms === undefined || isPlatformKnown ? {} : { platforms }),
  };
}

/**
 * A policy made ready for questions, once for each version. Each condition has an index from what a fact may be to the
 * rules that it is right for; what all of them agree on is left, and the first of these decides. So a thousand rules
 * cost hardly more than ten.
 */
export class CompiledPolicy {
  readonly document: PolicyDocument;
  readonly #zones: Zones;
  readonly #rules: readonly PolicyRule[];
  readonly #isUnindexed: readonly boolean[];
  readonly #people: PeopleIndex;
  readonly #ofRequest: ReadonlyArray<Index<RequestFacts>>;
  readonly #ofSignIn: ReadonlyArray<Index<PolicyFacts>>;

  constructor(document: PolicyDocument, zones: Zones) {
    this.document = document;
    this.#zones = zones;
    const rules = document.rules.filter(({ enabled }) => enabled !== false);
    this.#rules = rules;
    this.#isUnindexed = rules.map(({ when }) => unindexed(when));
    this.#people = new PeopleIndex(rules);
    const asks = (name: ConditionName) => rules.some(({ when }) => when[name] !== undefined);
    const choices = <Name extends ChoiceName, Facts>(
      names: readonly Name[],
      facts: Readonly<Record<Name, (facts: Facts) => string | undefined>>,
    ) => names.filter(asks).map((name) => choiceIndex(rules, name, facts[name]));
    const places = asks('network') ? [new NetworkIndex(rules, zones)] : [];
    this.#ofRequest = [...places, ...choices(['platforms', 'client_types'], requestChoices)];
    this.#ofSignIn = [
      ...places,
      ...(asks('device_trust') ? [trustIndex(rules)] : []),
      ...choices(choiceNames, choiceFacts),
    ];
  }

  /** The rule that decides, as `findMatch` finds it. */
  findMatch(facts: PolicyFacts): Match {
    const left = new CommonRules();
    this.#people.find(facts, left);
    const isCertain = narrow(left, this.#ofSignIn, facts);
    if (!isCertain) return firstOf(this.document, this.#candidates(left, facts));
    let place = left.next(0);
    while (place >= 0 && this.#isUnindexed[place] === true) {
      const verdict = this.#check(place, facts);
      if (verdict === 'met') break;
      if (verdict === 'unknown') return firstOf(this.document, this.#candidates(left, facts));
      place = left.next(place + 1);
    }
    return { rule: place < 0 ? undefined : this.#rules[place], isUncertain: false };
  }

  /**
   * The policy as it is for this request: the few rules that what is known of it speaks neither against nor puts out of
   * reach, each with the conditions that are left to look at. It decides as the whole one does, whatever the device's
   * record has, and knows nothing of zones. Conditions on posture are always left: what the device has said of itself
   * counts only where it is trusted and its management says nothing, and only the record tells.
   */
  forRequest(facts: RequestFacts): PolicyDocument {
    const left = new CommonRules();
    this.#people.find(facts, left);
    narrow(left, this.#ofRequest, facts);
    const rules: PolicyRule[] = [];
    const seen = new Set<string>();
    for (let place = left.next(0); place >= 0; place = left.next(place + 1)) {
      const rule = this.#rules[place];
      if (rule === undefined) continue;
      const when = remainingOf(rule.when, facts);
      const names = Object.keys(when);
      // Two rules that ask for the same, where it is always known: the second one is never reached.
      const settled = names.every((name) => alwaysKnown.has(name))
        ? JSON.stringify(when)
        : undefined;
      if (settled !== undefined && seen.has(settled)) continue;
      if (settled !== undefined) seen.add(settled);
      rules.push({ ...rule, when });
      if (names.length === 0) break;
    }
    return { ...this.document, rules };
  }

  #check(place: number, facts: PolicyFacts): Verdict {
    const rule = this.#rules[place];
    return rule === undefined ? 'not_met' : checkConditions(rule.when, facts, this.#zones);
  }

  /** Where something is not known: each rule that nothing known speaks against, looked at as a whole. */
  *#candidates(left: CommonRules, facts: PolicyFacts): Generator<Candidate, void, undefined> {
    for (let place = left.next(0); place >= 0; place = left.next(place + 1)) {
      const rule = this.#rules[place];
      const verdict = this.#check(place, facts);
      if (rule !== undefined && verdict !== 'not_met') yield { rule, verdict };
    }
  }
}
