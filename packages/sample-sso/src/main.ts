import { CountersignError } from '@countersign/sso-sdk/server';
import { readSettings } from './settings.ts';
import { startSampleSite } from './start-sample-site.ts';

/** Settings of this program by the name of the option that they fill. */
const settingOfOption: Readonly<Record<string, string>> = {
  brokerUrl: 'COUNTERSIGN_BROKER_URL',
  brokerInternalUrl: 'COUNTERSIGN_BROKER_INTERNAL_URL',
  clientId: 'COUNTERSIGN_CLIENT_ID',
  'authentication.clientSecret': 'COUNTERSIGN_CLIENT_SECRET',
};

function fail(text: string): never {
  process.stderr.write(`sample-sso: ${text}\n`);
  process.exit(1);
}

const settings = readSettings(process.env);
if (!settings.ok) fail(`${settings.setting} ${settings.detail}`);

const log = (line: string) => void process.stdout.write(`${line}\n`);
const site = await startSampleSite({ ...settings.value, log }).catch((error: unknown) => {
  if (error instanceof CountersignError && error.field !== undefined) {
    fail(`${settingOfOption[error.field] ?? error.field}: ${error.message}`);
  }
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
    fail(`SAMPLE_SSO_PORT: port ${settings.value.port} is taken by another program`);
  }
  throw error;
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void site.stop().then(() => process.exit(0)));
}
log(`The sample site is at ${site.url}`);
