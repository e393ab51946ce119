import type { ApplicationPolicy, PolicyDocument, PolicyRule } from './policy-document.ts';

/**
 * One policy stands behind those of all applications. An application leaves to it what it does not say itself: how
 * strictly it is taken, or what becomes of those whom none of its own rules matches, or both.
 */

type Fields = Omit<ApplicationPolicy, 'version'>;

const globalPrefix = 'global/';

/** The name of a rule of the global policy where an application's own rules come before it: no own rule can have it. */
export const globalRuleId = (id: string): string => `${globalPrefix}${id}`;

export const isGlobalRuleId = (id: string): boolean => id.startsWith(globalPrefix);

/** Whether a policy is a whole one by itself. */
export const leavesToGlobal = ({ enforcement, otherwise }: Fields): boolean =>
  enforcement === 'global' || otherwise === 'global';

/** An application that leaves everything to the global policy. */
export const followsGlobal = {
  enforcement: 'global',
  rules: [],
  otherwise: 'global',
} as const satisfies Fields;

/**
 * The policy by which an application's sign-ins are decided: its own rules, then those of the global one. Its version
 * is the newer of both, so it names the two as they were together.
 */
export function effectivePolicy(own: ApplicationPolicy, global: PolicyDocument): PolicyDocument {
  const enforcement = own.enforcement === 'global' ? global.enforcement : own.enforcement;
  const version = leavesToGlobal(own) ? Math.max(own.version, global.version) : own.version;
  const strengths = own.enrollment_strengths ?? inheritedStrengths(own, global);
  const { otherwise } = own;
  return {
    version,
    enforcement,
    ...(strengths === undefined ? {} : { enrollment_strengths: strengths }),
    ...(otherwise === 'global'
      ? { rules: [...own.rules, ...global.rules.map(renamed)], otherwise: global.otherwise }
      : { rules: own.rules, otherwise }),
  };
}

const renamed = (rule: PolicyRule): PolicyRule => ({ ...rule, id: globalRuleId(rule.id) });

/** What counts as trusted follows the rules that ask for it. */
const inheritedStrengths = (own: ApplicationPolicy, global: PolicyDocument) =>
  own.otherwise === 'global' ? global.enrollment_strengths : undefined;
