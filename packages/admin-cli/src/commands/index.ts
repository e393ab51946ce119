import type { Command } from '../command-line/command.ts';
import { accessCommands } from './access.ts';
import { adminCommands } from './admins.ts';
import { auditCommands } from './audit.ts';
import { caCommands } from './ca.ts';
import { deviceTrustCommands } from './device-trust.ts';
import { deviceCommands } from './devices.ts';
import { directoryCommands } from './directory.ts';
import { failOpenCommands } from './fail-open.ts';
import { groupCommands } from './groups.ts';
import { integrationCommands } from './integrations.ts';
import { issuerCommands } from './issuers.ts';
import { learnMoreCommands } from './learn-more.ts';
import { logCommands } from './log.ts';
import { logStreamCommands } from './log-streams.ts';
import { modeCommands } from './mode.ts';
import { offlinePolicyCommands } from './offline-policies.ts';
import { policyCommands } from './policies.ts';
import { receiptCommands } from './receipts.ts';
import { signInServiceCommands } from './sign-in-services.ts';
import { transferCommands } from './transfer.ts';
import { userCommands } from './users.ts';
import { whatIfCommands } from './what-if.ts';
import { zoneCommands } from './zones.ts';

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
  ...offlinePolicyCommands,
  ...whatIfCommands,
  ...zoneCommands,
  ...accessCommands,
  ...failOpenCommands,
  ...adminCommands,
  ...modeCommands,
  ...learnMoreCommands,
  ...logCommands,
  ...logStreamCommands,
  ...auditCommands,
  ...receiptCommands,
  ...issuerCommands,
  ...caCommands,
  ...transferCommands,
];
