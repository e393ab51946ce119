import type { Configuration } from './configuration/configuration.ts';
import { loadConfiguration } from './configuration/load-configuration.ts';
import { readStandardInput, writeStandardOutput } from './framing/standard-streams.ts';
import { answerMessage, type Purposes } from './messages/answer-message.ts';
import { serveNativeMessaging } from './messages/serve-native-messaging.ts';

/** Standard output carries frames and nothing else, so all diagnostics go here. They hold no secrets. */
function log(line: string): void {
  process.stderr.write(`countersign: ${line}\n`);
}

function logDefect(error: unknown): void {
  log(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/** Browsers end a host about two seconds after they close its port. A renewal that is cut off is repeated. */
const backgroundTimeoutMs = 1_500;

const nowSeconds = () => Math.floor(Date.now() / 1000);

/**
 * Speaks native messaging on standard input and output until the browser closes the port. Configuration and enrollment
 * are read anew for each message: a port may stay open for days. What only one kind of message needs is loaded when the
 * first of that kind comes, since a browser starts the host for one message as a rule.
 *
 * @returns exit code: 0, or 1 after input that was not a sequence of frames
 */
export async function runNativeMessaging(configurationPath: string): Promise<number> {
  const purposes: Purposes = {
    async attest(request) {
      const configuration = loadConfiguration(configurationPath);
      if (!configuration.ok) return configuration;
      const { attest } = await import('./attest/attest.ts');
      return attest(request, configuration.value, nowSeconds());
    },
    async status() {
      const configuration = loadConfiguration(configurationPath);
      if (!configuration.ok) return configuration;
      const { readHostStatus } = await import('./status/read-host-status.ts');
      return readHostStatus(configuration.value);
    },
  };
  let refreshing: Promise<void> | undefined;
  const refresh = async () => {
    const configuration = loadConfiguration(configurationPath);
    if (!configuration.ok) return;
    // Most that is loaded for a refresh is of no use to a device that has nothing to refresh.
    const { readEnrollment } = await import('./enrollment/enrollment-record.ts');
    const enrollment = readEnrollment(configuration.value.stateDirectory);
    if (enrollment.ok && enrollment.value === undefined) return;
    const { measurePostureIfDue } = await import('./posture/current-posture.ts');
    await Promise.all([
      measurePostureIfDue(configuration.value.stateDirectory, nowSeconds()),
      askBroker(configuration.value),
    ]);
  };
  const askBroker = async (configuration: Configuration) => {
    const { refreshKeySetIfDue } = await import('./attest/attest.ts');
    const refreshed = await refreshKeySetIfDue(configuration, nowSeconds());
    if (!refreshed.ok && refreshed.reason !== 'not_enrolled') {
      log(`${refreshed.reason}: ${refreshed.detail}`);
    }
    // A device whose task for renewals does not run renews when somebody signs in.
    const { renewIfDue } = await import('./renewal/renew-if-due.ts');
    const renewed = await renewIfDue(configuration, nowSeconds(), backgroundTimeoutMs);
    if (!renewed.ok && renewed.reason !== 'not_enrolled')
      log(`${renewed.reason}: ${renewed.detail}`);
  };

  let hasAnswered = false;
  const end = await serveNativeMessaging(
    { input: readStandardInput(() => !hasAnswered), write: writeStandardOutput },
    async (message) => {
      const answer = await answerMessage(message, purposes, logDefect);
      hasAnswered = true;
      if (answer.type === 'error') log(`${answer.code}: ${answer.detail}`);
      // Begins after this answer is on its way, and holds up no other one.
      refreshing ??= new Promise((resolve) => setImmediate(resolve))
        .then(refresh)
        .catch(logDefect)
        .finally(() => {
          refreshing = undefined;
        });
      return answer;
    },
  );
  if (end === 'cut') log('the input ended in the middle of a message');
  await refreshing;
  return end === 'closed' ? 0 : 1;
}
