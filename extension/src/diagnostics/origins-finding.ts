import type { HostStatus } from '@countersign/protocol/native-messages';
import { matchPatternsFor } from '../managed-config/bridge-registration.ts';
import type { BrowserFacts } from './browser-facts.ts';
import type { Finding } from './finding.ts';

const forSupport = { state: 'not_ready', whoFixesIt: 'it_support' } as const;

/** What is wrong with the lists of sign-in pages; `undefined` while each page is on all of them. */
export function originsFinding(facts: BrowserFacts, status: HostStatus): Finding | undefined {
  const { applied } = facts;
  if (applied === undefined || applied.origins.length === 0) {
    return policyFinding(facts) ?? (facts.managedStorage.state === 'pending' ? starting : noPages);
  }
  const missing = matchPatternsFor(applied.origins).filter(
    (pattern) => !facts.registeredPatterns.includes(pattern),
  );
  if (missing.length > 0) {
    return {
      state: 'not_ready',
      headline: 'The extension is not active on your sign-in pages',
      explanation: 'The browser does not let it listen there, though your company has set it up.',
      whoFixesIt: 'you',
      nextStep: 'Check again. If it stays, restart the browser.',
      problem: {
        code: 'not_registered',
        administrator: `The browser does not inject the content script on ${missing.join(' ')}.`,
      },
    };
  }
  if (facts.patternsWithoutAccess.length > 0) return accessTaken(facts.patternsWithoutAccess);
  return policyFinding(facts) ?? refusedByHost(applied.origins, status);
}

const accessTaken = (patterns: readonly string[]): Finding => ({
  state: 'not_ready',
  headline: 'Countersign may not look at your sign-in pages',
  explanation: 'The settings of this browser keep the extension away from them.',
  whoFixesIt: 'you',
  nextStep: 'In the settings of the extension, allow it on your sign-in pages, and check again.',
  problem: {
    code: 'page_access_missing',
    administrator: `Access was taken away, or never given, for ${patterns.join(' ')}. A forced installation gives it in Chrome and Edge; Firefox and Safari leave it to the person.`,
  },
});

const noPages: Finding = {
  ...forSupport,
  headline: 'No sign-in pages are set up',
  explanation: 'Your company has not told this browser which pages are its sign-in pages.',
  nextStep: 'Ask them to set up the sign-in pages.',
  problem: {
    code: 'no_origins',
    administrator:
      'Neither the managed storage of the extension ("origins") nor the host configuration names an origin.',
  },
};

const starting: Finding = {
  state: 'attention',
  headline: 'The browser is still starting',
  explanation: "It has not loaded your company's settings yet. That takes a few seconds.",
  whoFixesIt: 'nobody',
  nextStep: 'Wait a moment; this page follows by itself.',
  problem: {
    code: 'policy_pending',
    administrator:
      'The browser holds managed storage back until it has loaded its policy, and no list of origins was ever applied in this profile.',
  },
};

function refusedByHost(origins: readonly string[], status: HostStatus): Finding | undefined {
  const refused = origins.filter((origin) => !status.origins.includes(origin));
  if (refused.length === 0) return undefined;
  const none = refused.length === origins.length;
  return {
    state: none ? 'not_ready' : 'attention',
    headline: none
      ? 'Your sign-in pages are not allowed here'
      : 'Some sign-in pages are not allowed here',
    explanation:
      'The browser and the Countersign program have different lists of sign-in pages. Only pages on both lists work.',
    whoFixesIt: 'it_support',
    nextStep: 'Ask them to make the two lists the same.',
    problem: {
      code: 'origin_not_allowed',
      administrator: `Add to "origins" in the host configuration: ${refused.join(' ')}`,
    },
  };
}

/** A policy that cannot be followed. The pages of the policy before it, if there are any, go on working. */
function policyFinding({ managedStorage, applied }: BrowserFacts): Finding | undefined {
  const stillWorks = applied !== undefined && applied.origins.length > 0;
  const rest = {
    state: stillWorks ? 'attention' : 'not_ready',
    explanation: stillWorks
      ? 'Sign-in pages that were set up earlier still work. New ones do not.'
      : 'Until it is corrected, no sign-in page works.',
    whoFixesIt: 'it_support',
    nextStep: 'Ask them to correct the browser policy.',
  } as const;
  if (managedStorage.state === 'malformed') {
    const { field, detail } = managedStorage;
    const administrator = `Managed storage, field ${field}: ${detail}. Until it is corrected the extension keeps the origins that it had.`;
    const problem = { code: 'managed_storage_malformed', administrator };
    return { ...rest, headline: 'The browser policy for Countersign has a mistake', problem };
  }
  if (managedStorage.state === 'unreadable') {
    const administrator = `Reading managed storage failed: ${managedStorage.detail}`;
    const problem = { code: 'managed_storage_unreadable', administrator };
    return { ...rest, headline: 'The browser policy for Countersign cannot be read', problem };
  }
  return undefined;
}
