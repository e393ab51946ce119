// `pnpm dev`: the broker, rebuilt and started again when its code changes; the sample site under `node --watch`; the
// extension under wxt. One terminal, each line with the name of its program; Ctrl-C ends all of them.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters, styleText } from 'node:util';
import { build, describeBuild } from './build.mjs';
import { type DevProcess, startDevProcess } from './dev/dev-process.ts';
import { watchSources } from './dev/watch-sources.ts';
import { createBrokerClient } from './start/broker-client.ts';
import { enrollDemoDevice, prepareDemoDevice } from './start/demo-device.ts';
import { type DemoSettings, readDemoSettings, readPort, usageOf } from './start/demo-settings.ts';
import { runCommand, whenAskedToEnd } from './start/run-command.ts';
import {
  clientSecretPath,
  keepClientSecret,
  sampleApplicationId,
  sampleClientId,
  sampleOrigins,
  setUpSample,
} from './start/set-up-sample.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const defaults = { command: 'pnpm dev', dataDirectory: '.countersign-dev' };
const usage = `${usageOf(defaults)}  --extension-port PORT                         wxt, which serves the extension        a free one from 3000 on
`;
const colours = { dev: 'bold', broker: 'cyan', sample: 'green', extension: 'magenta' } as const;
type Program = keyof typeof colours;

function print(program: Program, line: string): void {
  const left = styleText(colours[program], program.padEnd(9), { stream: process.stdout });
  process.stdout.write(`${left} ${line}\n`);
}

/** Takes out what this command has beyond `npm start`. @throws UsageError */
function takeExtensionPort(given: readonly string[]) {
  const flag = '--extension-port';
  const rest = given.flatMap((argument) =>
    argument.startsWith(`${flag}=`) ? [flag, argument.slice(flag.length + 1)] : [argument],
  );
  const at = rest.indexOf(flag);
  if (at === -1) return { rest, extensionPort: undefined };
  const [, value = ''] = rest.splice(at, 2);
  return { rest, extensionPort: readPort(value, flag) };
}

/** @param onServing called when it answers requests */
function startBroker(settings: DemoSettings, onServing: () => void): DevProcess {
  const { dataDirectory, httpPort, tlsPort } = settings;
  const ports = ['--http-port', String(httpPort), '--tls-port', String(tlsPort)];
  return startDevProcess({
    command: process.execPath,
    args: [
      '--enable-source-maps',
      join(root, 'packages/edge-server/src/main.ts'),
      ...['--data', dataDirectory, ...ports, '--log', 'text'],
    ],
    cwd: root,
    env: process.env,
    onLine: (line) => {
      print('broker', line);
      if (line.includes('the broker serves')) onServing();
    },
  });
}

/** What the sample site and a demo device need; all of it stays in the data folder. */
async function setUp(settings: DemoSettings, brokerUrl: string, program: string): Promise<void> {
  const { dataDirectory, samplePort } = settings;
  const read = (name: string) => readFileSync(join(dataDirectory, name), 'utf8').trimEnd();
  const client = createBrokerClient(brokerUrl, read('owner-token'));
  const origins = sampleOrigins(samplePort);
  await setUpSample(client, keepClientSecret(dataDirectory), origins);
  const rootCertificatePem = read('certificates/root.pem');
  const device = prepareDemoDevice({
    dataDirectory,
    program,
    brokerUrl,
    origins,
    rootCertificatePem,
  });
  await enrollDemoDevice(device, client, brokerUrl);
  print('dev', `demo device ${device.serialNumber}: ${device.host.configurationPath}`);
}

function startSampleSite(settings: DemoSettings, brokerUrl: string): DevProcess {
  return startDevProcess({
    command: process.execPath,
    args: ['--watch', '--watch-preserve-output', join(root, 'packages/sample-sso/src/main.ts')],
    cwd: root,
    env: {
      ...process.env,
      COUNTERSIGN_BROKER_URL: brokerUrl,
      COUNTERSIGN_CLIENT_ID: sampleClientId,
      COUNTERSIGN_CLIENT_SECRET_FILE: clientSecretPath(settings.dataDirectory),
      COUNTERSIGN_APPLICATION: sampleApplicationId,
      SAMPLE_SSO_PORT: String(settings.samplePort),
    },
    onLine: (line) => print('sample', line),
  });
}

/** wxt draws progress over one line, which would be many lines here. */
const spinner = /^[\u2800-\u28ff] /;

/** @param port where wxt is to serve it; its own choice otherwise, which another wxt may make at the same moment */
function startExtension(port: number | undefined): DevProcess {
  const folder = join(root, 'extension');
  return startDevProcess({
    command: join(folder, 'node_modules/.bin/wxt'),
    args: port === undefined ? [] : ['--port', String(port)],
    cwd: folder,
    env: process.env,
    onLine: (line) => {
      const text = stripVTControlCharacters(line).trimEnd();
      if (text !== '' && !spinner.test(text)) print('extension', text);
    },
  });
}

async function main(): Promise<number> {
  const { rest, extensionPort } = takeExtensionPort(process.argv.slice(2));
  const settings = readDemoSettings(rest, process.env, defaults);
  if (settings === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  const brokerUrl = `http://127.0.0.1:${settings.httpPort}`;
  const asked = whenAskedToEnd();
  const results = await build(['worker', 'native-host']);
  for (const result of results) print('dev', describeBuild(result));
  const program = results.find(({ name }) => name === 'native-host')?.path ?? '';

  const { promise: serving, resolve: onServing } = Promise.withResolvers<boolean>();
  let broker = startBroker(settings, () => onServing(true));
  const others: DevProcess[] = [];
  const onChange = async (files: readonly string[]) => {
    const changed = await build(['worker', 'native-host']).catch((error: unknown) => {
      print('dev', error instanceof Error ? error.message : String(error));
      return [];
    });
    for (const result of changed) if (!result.unchanged) print('dev', describeBuild(result));
    const isBrokers =
      changed.some(({ name, unchanged }) => name === 'worker' && !unchanged) ||
      files.some((file) => file.startsWith(join('packages', 'edge-server')));
    if (!isBrokers) return;
    await broker.stop();
    broker = startBroker(settings, () => undefined);
  };
  let stopWatching: (() => void) | undefined;
  let code = 0;
  try {
    const failed = broker.ended.then(() => false);
    const isUp = await Promise.race([serving, failed, asked]);
    if (isUp === undefined) return 0;
    if (!isUp) return 1;
    await setUp(settings, brokerUrl, program);
    others.push(startSampleSite(settings, brokerUrl), startExtension(extensionPort));
    stopWatching = watchSources(root, onChange);
    await asked;
  } catch (error) {
    print('dev', error instanceof Error ? error.message : String(error));
    code = 1;
  } finally {
    stopWatching?.();
    await Promise.all([broker, ...others].map((started) => started.stop()));
  }
  return code;
}

await runCommand(usage, main);
