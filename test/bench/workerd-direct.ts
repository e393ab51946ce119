import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureDataDirectory } from '@countersign/edge-server';
import { workerSettings } from '../../packages/edge-server/src/worker-settings.ts';
import { workerdConfigurationText } from '../../packages/edge-server/src/workerd/workerd-configuration.ts';
import { findFreePort } from '../support/free-port.ts';
import { startProcess, waitUntilReady } from './child-process.ts';

/** `workerd serve` on a loopback port, without the front: what is measured is the broker and its runtime. */
export type DirectWorkerd = {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly stop: () => Promise<void>;
};

const require = createRequire(new URL('../../packages/edge-server/package.json', import.meta.url));
const binary = String(require('workerd').default);

async function start(
  configuration: string,
  port: number,
  healthPath: string,
): Promise<DirectWorkerd> {
  const child = startProcess(binary, ['serve', configuration, 'config'], {
    env: {},
    stderr: 'inherit',
  });
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(`${url}${healthPath}`, child, (response) => response.ok);
  return { url, port, pid: child.pid, stop: child.stop };
}

/** The floor worker on a port of its own. */
export async function startFloor(directory: string): Promise<DirectWorkerd> {
  const port = await findFreePort();
  const disk = join(directory, 'floor');
  mkdirSync(disk, { recursive: true });
  const path = join(directory, 'floor.capnp');
  const worker = relative(directory, fileURLToPath(new URL('floor-worker.js', import.meta.url)));
  writeFileSync(
    path,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "floor", worker = .floor),
    (name = "disk", disk = (path = "${disk}", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "floor")],
);
const floor :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "${worker}")],
  compatibilityDate = "2026-08-15",
  bindings = [(name = "FLOOR", durableObjectNamespace = "Floor")],
  durableObjectNamespaces = [(className = "Floor", uniqueKey = "floor", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
);
`,
  );
  return await start(path, port, '/hello');
}

export type DirectBroker = DirectWorkerd & {
  readonly ownerToken: string;
  readonly durableObjects: string;
};

/** The built worker behind one that counts. What a configuration embeds is named relative to it. */
function withCountingWorker(configuration: string, path: string): string {
  const module = /\(name = "index\.js", esModule = embed ("[^"]*")\)/.exec(configuration);
  if (module === null) throw new Error('the configuration names no module index.js');
  const counting = relative(
    dirname(path),
    fileURLToPath(new URL('counting-worker.js', import.meta.url)),
  );
  const modules = [
    `(name = "index.js", esModule = embed ${JSON.stringify(counting)})`,
    `(name = "broker.js", esModule = embed ${module[1]})`,
  ];
  return configuration.replace(module[0], modules.join(', '));
}

const shardCount = 16;

/**
 * The broker with the data folder, bindings and configuration that the edge server makes for it.
 *
 * @param options.port that of the start before, on data that is there already: its addresses stay
 */
export async function startBroker(
  directory: string,
  options: { readonly counting?: boolean; readonly port?: number } = {},
): Promise<DirectBroker> {
  const port = options.port ?? (await findFreePort());
  const brokerUrl = `http://127.0.0.1:${port}`;
  const data = await ensureDataDirectory(join(directory, 'data'), {
    shardCount,
    brokerUrl,
    nowMs: Date.now(),
  });
  const socket = join(directory, 'unused.sock');
  const path = data.paths.workerdConfiguration;
  const text = workerdConfigurationText({
    path,
    workerBundle: fileURLToPath(new URL('../../dist/worker/index.js', import.meta.url)),
    socket,
    durableObjects: data.paths.durableObjects,
    ...workerSettings(data, brokerUrl, readFileSync(data.paths.keySet, 'utf8').trim()),
  });
  const onPort = text.replace(`unix:${socket}`, `127.0.0.1:${port}`);
  writeFileSync(path, options.counting === true ? withCountingWorker(onPort, path) : onPort);
  const running = await start(path, port, '/healthz');
  return { ...running, ownerToken: data.ownerToken, durableObjects: data.paths.durableObjects };
}
