import { readHardwareId } from '../hardware-id/read-hardware-id.ts';
import { hostVersion } from '../host-version.ts';
import { onBrokerCall } from '../http/broker-call-trace.ts';
import type { Result } from '../result.ts';
import { becomeLocalUser } from './become-local-user.ts';
import { doctorCommand } from './doctor-command.ts';
import { enrollCommand } from './enroll-command.ts';
import { helpText } from './help-text.ts';
import type { Invocation } from './parse-command-line.ts';
import { exitCodes, type Output, printBrokerCall, printFailure } from './print.ts';
import { renewCommand } from './renew-command.ts';
import { scheduleCommand } from './schedule-command.ts';
import { statusCommand } from './status-command.ts';
import { uninstallCommand } from './uninstall-command.ts';

const output: Output = {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
};

/** Runs any command but native messaging. */
export async function runCommand(invocation: Result<Invocation, 'usage_invalid'>): Promise<number> {
  if (!invocation.ok) return printFailure(output, invocation);
  const { value } = invocation;
  if ('verbose' in value) {
    output.error(`INFO   countersign ${hostVersion}, configuration ${value.configurationPath}\n`);
    onBrokerCall((call) => printBrokerCall(output, call));
  }
  const localUser = 'localUser' in value ? value.localUser : undefined;
  // Linux tells root alone what the machine is.
  const hardwareId =
    localUser !== undefined && value.command === 'enroll' ? await readHardwareId() : undefined;
  const become = localUser === undefined ? undefined : becomeLocalUser(localUser);
  if (become?.ok === false) return printFailure(output, become);
  switch (value.command) {
    case 'help':
      output.out(helpText());
      return exitCodes.done;
    case 'version':
      output.out(`${hostVersion}\n`);
      return exitCodes.done;
    case 'status':
      return statusCommand({ ...value, nowSeconds: Math.floor(Date.now() / 1000) }, output);
    case 'doctor':
      return doctorCommand({ ...value, nowSeconds: Math.floor(Date.now() / 1000) }, output);
    case 'schedule':
      return scheduleCommand(value, output);
    case 'uninstall':
      return uninstallCommand(value, output);
    case 'renew':
      return renewCommand({ ...value, nowSeconds: Math.floor(Date.now() / 1000) }, output);
    case 'enroll': {
      const { configurationPath, brokerUrl, tokenFile, user, replace } = value;
      return enrollCommand(
        {
          configurationPath,
          nowSeconds: Math.floor(Date.now() / 1000),
          ...(hardwareId === undefined ? {} : { hardwareId }),
          token: {
            environment: process.env,
            standardInput: process.stdin,
            prompt: output.error,
            ...(tokenFile === undefined ? {} : { tokenFile }),
          },
          ...(brokerUrl === undefined ? {} : { brokerUrl }),
          ...(user === undefined ? {} : { user }),
          ...(replace === undefined ? {} : { replace }),
        },
        output,
      );
    }
    default:
      throw new Error(`${value.command} does not run here`);
  }
}
