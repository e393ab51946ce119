import { EdgeServerError, type RunningEdgeServer, startEdgeServer } from '@countersign/edge-server';
import { type RunningSampleSite, startSampleSite } from '@countersign/sample-sso';
import { build, describeBuild } from '../build.mjs';
import { createBrokerClient, type DemoBrokerClient } from './broker-client.ts';
import { type DemoDevice, enrollDemoDevice, prepareDemoDevice } from './demo-device.ts';
import type { DemoSettings } from './demo-settings.ts';
import { type Report, StepError } from './report.ts';
import {
  keepClientSecret,
  sampleApplicationId,
  sampleClientId,
  sampleOrigins,
  setUpSample,
} from './set-up-sample.ts';

/** What was started, to be stopped from its end. */
export type Started = Array<() => Promise<void>>;

export async function stopAll(started: Started): Promise<void> {
  for (let stop = started.pop(); stop !== undefined; stop = started.pop()) await stop();
}

async function buildPrograms(report: Report) {
  const results = await build().catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new StepError(`build: ${why}`, 'Repair the source it names and start again.');
  });
  report.row('programs', ...results.map(describeBuild));
  const path = (name: string) => results.find((result) => result.name === name)?.path ?? '';
  return { worker: path('worker'), nativeHost: path('native-host') };
}

async function startBroker(
  settings: DemoSettings,
  workerBundle: string,
  log: (line: string) => void,
) {
  const { dataDirectory, httpPort, tlsPort } = settings;
  // The databases that workerd creates are nobody else's business.
  process.umask(0o077);
  try {
    const options = { dataDirectory, httpPort, tlsPort, workerBundle, log };
    return await startEdgeServer({ ...options, logFormat: 'text' });
  } catch (error) {
    if (!(error instanceof EdgeServerError)) throw error;
    const [first = '', ...more] = error.message.split('\n');
    const advice = more.length > 0 ? more.join(' ') : 'Do so and start again.';
    throw new StepError(`broker: ${first}`, advice, { cause: error });
  }
}

async function startSite(
  options: Parameters<typeof startSampleSite>[0],
): ReturnType<typeof startSampleSite> {
  try {
    return await startSampleSite(options);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    throw new StepError(
      `sample site: port ${options.port} is in use by another program`,
      'Choose another with --sample-port, or stop that program.',
      { cause: error },
    );
  }
}

export type RunningSample = {
  readonly server: RunningEdgeServer;
  readonly site: RunningSampleSite;
  readonly broker: DemoBrokerClient;
  readonly device: DemoDevice;
};

/**
 * Starts the broker and the sample site, sets them up through the public interfaces and enrolls a device. Repeating it
 * changes nothing that is there already.
 *
 * @param started receives what has to be stopped, also when a step fails
 * @param logSite gets the sample site's lines
 */
export async function startSample(
  settings: DemoSettings,
  report: Report,
  log: (line: string) => void,
  started: Started,
  logSite: (line: string) => void = (line) => log(`sample site: ${line}`),
): Promise<RunningSample> {
  const programs = await buildPrograms(report);
  const server = await startBroker(settings, programs.worker, log);
  started.push(server.stop);
  report.row('broker', `${server.httpUrl}, organization ${server.organizationId}`);

  const clientSecret = keepClientSecret(server.dataDirectory);
  const site = await startSite({
    port: settings.samplePort,
    brokerUrl: server.brokerUrl,
    brokerInternalUrl: server.httpUrl,
    clientId: sampleClientId,
    clientSecret,
    application: sampleApplicationId,
    title: 'Countersign sample',
    log: logSite,
  });
  started.push(site.stop);

  const broker = createBrokerClient(server.httpUrl, server.ownerToken);
  const origins = sampleOrigins(settings.samplePort);
  const { application, client, hasRules } = await setUpSample(broker, clientSecret, origins);
  const state = ({ changed }: { changed: boolean }) => (changed ? 'set up' : 'as before');
  report.row(
    'application',
    hasRules
      ? `${sampleApplicationId}: with the policy of rules that it was given`
      : `${sampleApplicationId}: only trusted devices may sign in (${state(application)})`,
  );
  report.row('client', `${sampleClientId}: asks from ${origins.join(', ')} (${state(client)})`);

  const device = prepareDemoDevice({
    dataDirectory: server.dataDirectory,
    program: programs.nativeHost,
    brokerUrl: server.brokerUrl,
    origins,
    rootCertificatePem: server.rootCertificatePem,
  });
  const { deviceId, enrolledNow } = await enrollDemoDevice(device, broker, server.brokerUrl);
  const how = enrolledNow ? 'enrolled with a one-time token' : 'enrolled before';
  report.row('device', `${device.serialNumber}, ${how}`, `device id ${deviceId}`);

  return { server, site, broker, device };
}
