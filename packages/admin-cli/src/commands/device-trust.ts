import {
  deviceTrustAnswer,
  deviceTrustChangeAnswer,
} from '@countersign/protocol/admin-device-trust';
import { type Command, type Context, lines, rows, type Shown } from '../command-line/command.ts';
import { impactSections } from './describe-integration.ts';
import { changedRow } from './show-change.ts';

const path = '/v1/admin/device-trust';
const stateRow = (enabled: boolean) => ['device trust', enabled ? 'on' : 'off'] as const;

async function setDeviceTrust(context: Context, body: object): Promise<Shown> {
  const answer = await context.client().ask('PUT', path, deviceTrustChangeAnswer, { body });
  const { takes_effect } = answer;
  return {
    json: answer,
    sections: [
      rows(stateRow(answer.enabled), changedRow(answer)),
      ...(takes_effect === undefined
        ? []
        : [lines('', 'From now on this counts:'), ...impactSections(takes_effect)]),
    ],
  };
}

export const deviceTrustCommands: readonly Command[] = [
  {
    words: ['device-trust', 'show'],
    help: 'Says whether device trust is on, and what relies on it.',
    routes: ['GET /v1/admin/device-trust'],
    run: async (context) => {
      const answer = await context.client().get(path, deviceTrustAnswer);
      return {
        json: answer,
        sections: [rows(stateRow(answer.enabled)), ...impactSections(answer.impact)],
      };
    },
  },
  {
    words: ['device-trust', 'on'],
    help: 'Switches device trust on: certificates count again, at once.',
    routes: ['PUT /v1/admin/device-trust'],
    run: (context) => setDeviceTrust(context, { enabled: true }),
  },
  {
    words: ['device-trust', 'off'],
    options: { '--override': { help: 'although sign-ins rely on it' } },
    help: 'Switches device trust off: no device is a trusted one. Nothing is revoked.',
    routes: ['PUT /v1/admin/device-trust'],
    run: (context, input) =>
      setDeviceTrust(context, { enabled: false, override: input.flag('--override') }),
  },
];
