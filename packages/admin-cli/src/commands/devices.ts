import { deviceAnswer } from '@countersign/protocol/admin';
import {
  approvalAnswer,
  approvalList,
  deviceList,
  standingAnswer,
} from '@countersign/protocol/admin-devices';
import { revocationReasons } from '@countersign/protocol/certificate-life';
import { postureSwitchNames } from '@countersign/protocol/posture';
import type * as z from 'zod/mini';
import {
  type Command,
  type Context,
  type Input,
  lines,
  parameterOf,
  present,
  required,
  rows,
  type Section,
  type Shown,
  table,
  UsageError,
} from '../command-line/command.ts';
import { segment } from './read-input.ts';

type Device = z.infer<typeof deviceAnswer>;

const reason = {
  '--reason': { value: 'REASON', help: `one of ${revocationReasons.join(', ')}` },
};

function namesOf({ hardware_id }: Device): string {
  return [hardware_id.serial_number, hardware_id.hardware_uuid]
    .filter((text) => text !== undefined)
    .join(' ');
}

const listed = (devices: readonly Device[]): Section =>
  table(
    ['device', 'status', 'certificates', 'users', 'hardware'],
    devices.map((device) => {
      const live = device.certificates.filter(
        ({ status }) => !['revoked', 'superseded'].includes(status),
      );
      const users = new Set(live.flatMap(({ bound_user }) => bound_user ?? []));
      return [
        device.device_id,
        device.status,
        String(live.length),
        [...users].join(' ') || '-',
        namesOf(device),
      ];
    }),
  );

type Posture = NonNullable<Device['posture']>;

/** One line for each who says something. */
function postureRows({ device, mdm }: Posture): ReadonlyArray<[string, string | undefined]> {
  const told = (said: NonNullable<Posture['device'] | Posture['mdm']>) =>
    [
      [said.platform, said.os_version].filter((text) => text !== undefined).join(' '),
      ...postureSwitchNames
        .filter((name) => said[name] !== undefined)
        .map((name) => `${name}: ${said[name]}`),
    ]
      .filter((text) => text !== undefined && text !== '')
      .join(', ');
  return [
    [
      'posture: device',
      device &&
        `${told(device)}; told ${device.told_at}${
          device.measured_at === undefined ? '' : `, measured ${device.measured_at}`
        }`,
    ],
    [
      'posture: mdm',
      mdm &&
        `${told(mdm)}; reported ${mdm.reported_at}${mdm.counts ? '' : ', which does not count'}`,
    ],
  ];
}

function described(device: Device): Section[] {
  return [
    rows(
      ['device', device.device_id],
      ['serial number', device.hardware_id.serial_number],
      ['hardware UUID', device.hardware_id.hardware_uuid],
      [
        'status',
        device.blocked_reason === undefined
          ? device.status
          : `${device.status}: ${device.blocked_reason}`,
      ],
      ['created', device.created_at],
      ['unbound', `${device.unbound_certificates} of 5 certificates`],
      ['TPM', device.endorsement_key_sha256],
      [
        'management',
        device.management &&
          `${device.management.integration_id}, asked ${device.management.checked_at}`,
      ],
      ...postureRows(device.posture ?? {}),
    ),
    table(
      ['status', 'user', 'until', 'strength', 'profile', 'integration', 'fingerprint'],
      device.certificates.map((certificate) => [
        certificate.revocation_reason === undefined
          ? certificate.status
          : `${certificate.status} (${certificate.revocation_reason})`,
        certificate.bound_user ??
          (certificate.requested_user === undefined ? '-' : `for ${certificate.requested_user}`),
        certificate.usable_until ?? certificate.not_after,
        certificate.enrollment_strength,
        certificate.profile,
        certificate.integration_id ?? '-',
        certificate.fingerprint_sha256 || '-',
      ]),
      'It has no certificate.',
    ),
  ];
}

const devicePath = (input: Input) => `/v1/admin/devices/${segment(parameterOf(input, 0))}`;

async function changeStanding(context: Context, path: string, body?: object): Promise<Shown> {
  const answer = await context.client().ask('POST', path, standingAnswer, { body });
  const changed = answer.changed === 0 ? 'It was so already.' : `Done: ${answer.changed} changed.`;
  return { json: answer, sections: [lines(changed)] };
}

function certificateCommand(
  verb: 'revoke' | 'hold' | 'release',
  help: string,
  options: Command['options'] = {},
): Command {
  return {
    words: ['certificates', verb],
    parameters: ['DEVICE', 'FINGERPRINT'],
    options,
    help,
    routes: [`POST /v1/admin/devices/:id/certificates/:sha256/${verb}`],
    run: (context, input) => {
      const path = `${devicePath(input)}/certificates/${segment(parameterOf(input, 1))}/${verb}`;
      const body = verb === 'revoke' ? { reason: required(input, '--reason') } : undefined;
      return changeStanding(context, path, body);
    },
  };
}

export const deviceCommands: readonly Command[] = [
  {
    words: ['devices', 'list'],
    help: 'Lists all devices.',
    routes: ['GET /v1/admin/devices'],
    run: async (context) => {
      const devices: Device[] = [];
      let after: string | undefined;
      do {
        const query = new URLSearchParams({ limit: '200', ...present({ after }) });
        const page = await context.client().get(`/v1/admin/devices?${query}`, deviceList);
        devices.push(...page.devices);
        after = page.next;
      } while (after !== undefined);
      return { json: { devices }, sections: [listed(devices)] };
    },
  },
  {
    words: ['devices', 'find'],
    options: {
      '--serial': { value: 'NUMBER', help: 'the serial number, in any spelling' },
      '--uuid': { value: 'UUID', help: 'the hardware UUID, of a device that has no serial number' },
    },
    help: 'Finds the device of a serial number or a hardware UUID.',
    routes: ['GET /v1/admin/devices'],
    run: async (context, input) => {
      const query = new URLSearchParams(
        present({ serial_number: input.option('--serial'), hardware_uuid: input.option('--uuid') }),
      );
      if (query.size !== 1) throw new UsageError('devices find needs --serial or --uuid');
      const found = await context.client().get(`/v1/admin/devices?${query}`, deviceList);
      const [device] = found.devices;
      return {
        json: found,
        sections: device === undefined ? [lines('There is no such device.')] : described(device),
        ...(device === undefined ? { failed: true } : {}),
      };
    },
  },
  {
    words: ['devices', 'show'],
    parameters: ['DEVICE'],
    help: 'Shows a device with its posture, by who reports it, and its certificates.',
    routes: ['GET /v1/admin/devices/:id'],
    run: async (context, input) => {
      const device = await context.client().get(devicePath(input), deviceAnswer);
      return { json: device, sections: described(device) };
    },
  },
  {
    words: ['devices', 'revoke'],
    parameters: ['DEVICE'],
    options: {
      ...reason,
      '--block': {
        value: 'WHY',
        help: 'lost, stolen, retired or compromised: it gets no certificate any more',
      },
    },
    help: 'Revokes all certificates of a device. What is revoked stays so.',
    routes: ['POST /v1/admin/devices/:id/revoke'],
    run: (context, input) =>
      changeStanding(context, `${devicePath(input)}/revoke`, {
        reason: required(input, '--reason'),
        ...present({ block: input.option('--block') }),
      }),
  },
  {
    words: ['devices', 'unblock'],
    parameters: ['DEVICE'],
    help: 'Lets a blocked device enroll again.',
    routes: ['POST /v1/admin/devices/:id/unblock'],
    run: async (context, input) => {
      const path = `${devicePath(input)}/unblock`;
      const answer = await context.client().ask('POST', path, standingAnswer);
      return { json: answer, sections: [lines('It may enroll again.')] };
    },
  },
  certificateCommand(
    'revoke',
    'Revokes a certificate, and all that it renewed or that renewed it, for ever.',
    reason,
  ),
  certificateCommand('hold', 'Suspends a certificate until it is released.'),
  certificateCommand('release', 'Releases a certificate from hold.'),
  {
    words: ['approvals', 'list'],
    help: 'Lists enrollments that wait for an administrator.',
    routes: ['GET /v1/admin/enrollment-approvals'],
    run: async (context) => {
      const list = await context.client().get('/v1/admin/enrollment-approvals', approvalList);
      const waiting = list.approvals.map((each) => [
        each.requested_at,
        each.device_id,
        each.spki_sha256,
      ]);
      return {
        json: list,
        sections: [
          table(['requested', 'device', 'key'], waiting, 'Nothing waits.'),
          ...(list.truncated ? [lines('There are more: approve these first.')] : []),
        ],
      };
    },
  },
  {
    words: ['approvals', 'approve'],
    parameters: ['DEVICE', 'KEY'],
    help: 'Lets the next try of this device with this key through.',
    routes: ['POST /v1/admin/devices/:id/enrollment-approvals/:sha256'],
    run: async (context, input) => {
      const path = `${devicePath(input)}/enrollment-approvals/${segment(parameterOf(input, 1))}`;
      const answer = await context.client().ask('POST', path, approvalAnswer);
      return { json: answer, sections: [lines('Approved. The device may try again.')] };
    },
  },
];
