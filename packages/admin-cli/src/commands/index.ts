import type { Command } from '../command-line/command.ts';
import { adminCommands } from './admins.ts';
import { auditCommands } from './audit.ts';
import { caCommands } from './ca.ts';
import { deviceTrustCommands } from './device-trust.ts';
import { deviceCommands } from './devices.ts';
import { directoryCommands } from './directory.ts';
import { groupCommands } from './groups.ts';
import { integrationCommands } from './integrations.ts';
import { issuerCommands } from './issuers.ts';
import { logCommands } from './log.ts';
import { logStreamCommands } from './log-streams.ts';
import { modeCommands } from './mode.ts';
import { policyCommands } from './policies.ts';
import { signInServiceCommands } from './sign-in-services.ts';
import { transferCommands } from './transfer.ts';
import { userCommands } from './users.ts';

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  ...deviceCommands,
  ...userCommands,
  ...directoryCommands,
  ...deviceTrustCommands,
  ...integrationCommands,
  ...groupCommands,
  ...signInServiceCommands,
  ...policyCommands,
  ...adminCommands,
  ...modeCommands,
  ...logCommands,
  ...logStreamCommands,
  ...auditCommands,
  ...issuerCommands,
  ...caCommands,
  ...transferCommands,
];
