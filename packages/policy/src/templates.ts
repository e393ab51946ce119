import { followsGlobal } from './global-policy.ts';
import type { ApplicationPolicy } from './policy-document.ts';

type Template = {
  readonly about: string;
  readonly policy: Omit<ApplicationPolicy, 'version'>;
};

const factor = { acr_values: ['phr', 'phrh'], amr_values: [] };

/**
 * Policies to begin with. The first is the set of four rules that administrators of device trust know, with macOS left
 * out of the third: with it there, a Mac that is not trusted would get in with a factor.
 */
export const policyTemplates: Readonly<Record<string, Template>> = {
  'trusted-macs': {
    about:
      'Macs must be trusted; other devices sign in with a factor; iPhones and iPads not at all.',
    policy: {
      enforcement: 'enforce',
      rules: [
        {
          id: 'legacy-clients',
          name: 'Clients that know passwords alone',
          when: { client_types: ['legacy'] },
          effect: 'allow',
        },
        {
          id: 'trusted-macs',
          name: 'Macs that are trusted',
          when: {
            client_types: ['web_or_modern'],
            platforms: ['macos'],
            device_trust: 'trusted',
          },
          effect: 'allow',
        },
        {
          id: 'other-devices',
          name: 'Other devices, with a factor',
          when: {
            client_types: ['web_or_modern'],
            platforms: ['android', 'other_mobile', 'windows', 'other_desktop'],
          },
          effect: 'step_up',
          factor,
        },
        { id: 'everybody-else', name: 'Nobody else', when: {}, effect: 'deny' },
      ],
      otherwise: 'deny',
    },
  },
  monitor: {
    about: 'Everybody signs in as before, and it is on record who would not have.',
    policy: {
      enforcement: 'monitor',
      rules: [
        {
          id: 'trusted-devices',
          name: 'Devices that are trusted',
          when: { device_trust: 'trusted' },
          effect: 'allow',
        },
      ],
      otherwise: 'deny',
    },
  },
  global: {
    about:
      'As the global policy says. Rules that are put here come before those of the global policy.',
    policy: { ...followsGlobal, rules: [] },
  },
};
