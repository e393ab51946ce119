import type { IssuanceRequest } from '../../worker/src/device/issuance-request.ts';

/** What an issuance by an administrator's own token has beyond device, token and key. */
export const plainIssuance = {
  integrationId: '',
  strength: 'one_time_token',
  profile: '1y',
  issuerId: '',
  via: 'host',
  user: undefined,
  requiresApproval: false,
  management: undefined,
} as const satisfies Partial<IssuanceRequest>;
