import { replaceFile } from './data-directory/durable-files.ts';
import { readIssuers } from './data-directory/issuers.ts';
import { signerAwaitsRoot } from './data-directory/keep-key-set-signer.ts';
import { type DataDirectory, ensureDataDirectory } from './data-directory/open-data-directory.ts';
import { readServedSettings, writeServedSettings } from './data-directory/served-settings.ts';
import { EdgeServerError, errorText, systemErrorCode } from './edge-server-error.ts';
import {
  assertOptions,
  defaultHost,
  defaultHttpPort,
  defaultTlsPort,
  type EdgeServerOptions,
  urlHost,
} from './edge-server-options.ts';
import { type Front, startFront } from './front/start-front.ts';
import { keepTlsCertificate, readTlsFiles } from './front/tls-certificate.ts';
import { IssuerWatch } from './issuers/watch-issuers.ts';
import { keepWorkerSettings } from './keep-worker-settings.ts';
import { createLog, type Log } from './logs.ts';
import { readOutbound } from './outbound.ts';
import { createStackReader } from './readable-stacks.ts';
import { createReload } from './reload.ts';
import { KeyRotation, runKeyRotation } from './rotation/key-rotation.ts';
import { defaultRotationTimes } from './rotation/rotate-token-keys.ts';
import { readTokenKeys } from './rotation/token-key-files.ts';
import type { TokenKeys } from './rotation/token-keys.ts';
import { markPathOf } from './state/high-water-mark.ts';
import { watchState } from './state/keep-high-water-mark.ts';
import { shipLog } from './syslog/ship-log.ts';
import { readSyslogReceiver } from './syslog/syslog-options.ts';
import { recordProcesses, takeDataDirectory, type Undo, undoAll } from './take-data-directory.ts';
import { findWorkerBundle } from './worker-bundle.ts';
import { makeSocketDirectory } from './workerd/socket-directory.ts';
import { workerdConfigurationText } from './workerd/workerd-configuration.ts';
import { superviseWorkerd, type WorkerdSupervisor } from './workerd/workerd-supervisor.ts';

export type RunningEdgeServer = {
  readonly httpUrl: string;
  readonly tlsUrl: string;
  /** Where revocation is published by plain HTTP at a port of its own. */
  readonly publicationPort: number | undefined;
  /** Absolute. */
  readonly dataDirectory: string;
  readonly brokerUrl: string;
  readonly ownerToken: string;
  readonly organizationId: string;
  readonly rootCertificatePem: string;
  /** `undefined` while workerd is being started again. */
  readonly workerdPid: () => number | undefined;
  /** Ends everything; may be called more than once. */
  readonly stop: () => Promise<void>;
};

const plainUrl = (host: string, port: number) => `http://${urlHost(host)}:${port}`;

/** Clients are known under the issuers; who forwards a chain sends it up to the root. */
function clientAuthorities(data: DataDirectory): readonly string[] {
  const { active } = readIssuers(data.paths);
  return [...active.map(data.certificatePem), data.rootCertificatePem];
}

const requestGraceMs = 500;
const tlsCheckEveryMs = 86_400_000;
const keysCheckEveryMs = 1_000;

async function tlsPair(data: DataDirectory, options: EdgeServerOptions, nowMs: number) {
  if (options.tlsFiles !== undefined) return { pair: readTlsFiles(options.tlsFiles), isNew: false };
  const { host = defaultHost, brokerUrl, mtlsUrl, tlsNames = [] } = options;
  const called = [brokerUrl, mtlsUrl].flatMap((url) =>
    url === undefined ? [] : [new URL(url).hostname],
  );
  return keepTlsCertificate(data.paths, [host, ...called, ...tlsNames], nowMs);
}

/** A server may run longer than its certificate lasts, and an administrator's file may be replaced meanwhile. */
function renewTlsDaily(front: Front, data: DataDirectory, options: EdgeServerOptions, log: Log) {
  const timer = setInterval(() => {
    tlsPair(data, options, Date.now())
      .then(({ pair }) => front.replaceTls(pair))
      .catch((error: unknown) => log.write('error', 'tls_renewal_failed', errorText(error)));
  }, tlsCheckEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Certificates say for ever where their revocation is published. */
function keepServedSettings(
  data: DataDirectory,
  pkiUrl: string | undefined,
  brokerUrl: string,
  log: Log,
): void {
  const before = readServedSettings(data.paths);
  if (before !== undefined && before.pkiUrl !== pkiUrl) {
    const [old, now] = [before.pkiUrl ?? 'the broker URL', pkiUrl ?? brokerUrl];
    log.write(
      'warning',
      'pki_url_changed',
      `the PKI URL was ${old} and is ${now} now: certificates that were issued before name the old one`,
    );
  }
  writeServedSettings(data.paths, { pkiUrl });
}

/**
 * Starts the broker on this machine: opens or creates the data folder, listens, runs workerd, and returns once the
 * broker answers. Nothing is left running when it fails.
 *
 * @throws EdgeServerError
 */
export async function startEdgeServer(options: EdgeServerOptions): Promise<RunningEdgeServer> {
  assertOptions(options);
  const { host = defaultHost, httpPort = defaultHttpPort, tlsPort = defaultTlsPort } = options;
  const workerBundle = findWorkerBundle(options.workerBundle);
  const log = createLog(
    options.log ?? (() => undefined),
    options.logFormat ?? 'json',
    Date.now,
    createStackReader(workerBundle),
  );
  const outbound = readOutbound(options.outbound);
  const nowMs = Date.now();
  const undo: Undo = [];
  try {
    const data = await ensureDataDirectory(options.dataDirectory, {
      ...(options.shardCount === undefined ? {} : { shardCount: options.shardCount }),
      brokerUrl: options.brokerUrl ?? plainUrl(host, httpPort),
      nowMs,
    });
    if (data.created) {
      log.write('info', 'data_directory_created', `created the data folder ${data.directory}`);
    }
    const lock = await takeDataDirectory(data, log, undo);
    const socketDirectory = makeSocketDirectory();
    undo.push(socketDirectory.remove);
    const record = recordProcesses(lock, socketDirectory);

    // Before anybody trusts them: one that comes after this is noticed.
    const issuers = readIssuers(data.paths);
    let supervisor: WorkerdSupervisor | undefined;
    let isOlder = false;
    const front = await startFront({
      host,
      httpPort,
      tlsPort,
      tls: (await tlsPair(data, options, nowMs)).pair,
      clientAuthorities: clientAuthorities(data),
      ...(options.mtlsUrl === undefined ? {} : { mtlsUrl: options.mtlsUrl }),
      ...(options.pkiListen === undefined ? {} : { publication: options.pkiListen }),
      ...(options.frontSocket === undefined ? {} : { trustedSocket: options.frontSocket }),
      socketPath: socketDirectory.socket,
      isReady: () => !isOlder && supervisor?.isReady() === true,
      log,
    });
    undo.push(() => front.stop(requestGraceMs));
    const httpUrl = plainUrl(host, front.httpPort);
    const brokerUrl = options.brokerUrl ?? httpUrl;

    const configurationWith = async (tokenKeys: TokenKeys, nowMs: number) => {
      const { changedFrom, ...settings } = await keepWorkerSettings(
        data,
        brokerUrl,
        tokenKeys,
        nowMs,
      );
      const { mtlsUrl, pkiUrl } = options;
      const text = workerdConfigurationText({
        path: data.paths.workerdConfiguration,
        workerBundle,
        socket: socketDirectory.socket,
        durableObjects: data.paths.durableObjects,
        outbound,
        ...settings,
        texts: {
          ...settings.texts,
          ...(mtlsUrl === undefined ? {} : { MTLS_URL: mtlsUrl }),
          ...(pkiUrl === undefined ? {} : { PKI_URL: pkiUrl }),
        },
      });
      return { text, changedFrom };
    };
    keepServedSettings(data, options.pkiUrl, brokerUrl, log);
    if (signerAwaitsRoot(data, nowMs)) {
      log.write(
        'warning',
        'key_set_signer_ends',
        `the key-set signer ends within a year: put ${data.paths.privateKey('root')} back for one start, which renews it`,
      );
    }
    // Read once more: now nobody else may change them.
    const tokenKeys = readTokenKeys(data.paths);
    const { text: configuration, changedFrom } = await configurationWith(tokenKeys, nowMs);
    if (changedFrom !== undefined && !data.created) {
      log.write(
        'warning',
        'broker_url_changed',
        `the broker URL was ${changedFrom} and is ${brokerUrl} now: devices that were enrolled before refuse its challenges`,
      );
    }
    replaceFile(data.paths.workerdConfiguration, configuration);
    let endKeyChanges = async (): Promise<void> => undefined;
    undo.push(() => endKeyChanges());
    const running = await superviseWorkerd({
      configurationPath: data.paths.workerdConfiguration,
      socket: socketDirectory.socket,
      log,
      onProcess: record,
      ...(options.liveness === undefined ? {} : { liveness: options.liveness }),
    });
    undo.push(() => running.stop());
    undo.push(
      await watchState({
        path: markPathOf(options.highWaterMark, data.directory),
        access: { socket: socketDirectory.socket, ownerToken: data.ownerToken },
        data,
        log,
        intervalMs: options.highWaterMarkIntervalMs,
        onOlder: () => {
          isOlder = true;
        },
      }),
    );
    // Not before: from here on requests are passed on.
    supervisor = running;
    const reload = createReload({
      front,
      supervisor: running,
      configurationPath: data.paths.workerdConfiguration,
      running: configuration,
      log,
    });
    const rotation = new KeyRotation({
      paths: data.paths,
      keys: tokenKeys,
      times: { ...defaultRotationTimes, ...options.keyRotation },
      serve: async (keys) => {
        await reload.to((await configurationWith(keys, Date.now())).text);
      },
      log,
      now: Date.now,
      monotonicNow: () => performance.now(),
    });
    const issuerWatch = new IssuerWatch({
      paths: data.paths,
      served: issuers,
      serve: async () => {
        await reload.to((await configurationWith(rotation.keys, Date.now())).text);
        front.replaceClientAuthorities(clientAuthorities(data));
      },
      log,
      monotonicNow: () => performance.now(),
    });
    const ends = [rotation, issuerWatch].map((each) => runKeyRotation(each, keysCheckEveryMs));
    endKeyChanges = async () => void (await Promise.all(ends.map((end) => end())));
    undo.push(renewTlsDaily(front, data, options, log));
    if (options.syslog !== undefined) {
      undo.push(
        shipLog({
          receiver: readSyslogReceiver(options.syslog),
          access: { socket: socketDirectory.socket, ownerToken: data.ownerToken },
          cursorPath: data.paths.syslogCursor,
          hostname: new URL(brokerUrl).hostname,
          log,
        }),
      );
    }

    const tlsUrl = `https://${urlHost(host)}:${front.tlsPort}`;
    log.write('info', 'started', `the broker serves ${httpUrl} and ${tlsUrl}`, {
      http_url: httpUrl,
      tls_url: tlsUrl,
      data_directory: data.directory,
    });
    let stopped: Promise<void> | undefined;
    return {
      httpUrl,
      tlsUrl,
      publicationPort: front.publicationPort,
      dataDirectory: data.directory,
      brokerUrl,
      ownerToken: data.ownerToken,
      organizationId: data.deployment.organizationId,
      rootCertificatePem: data.rootCertificatePem,
      workerdPid: running.pid,
      stop: () => {
        void endKeyChanges();
        // First the requests under way, then what serves them.
        stopped ??= front
          .stop(requestGraceMs)
          .then(() => undoAll(undo))
          .then(() => log.write('info', 'stopped', 'stopped'));
        return stopped;
      },
    };
  } catch (error) {
    await undoAll(undo);
    throw systemErrorCode(error) === undefined ? error : systemFailure(error);
  }
}

/** A full disk, a folder that may not be written, no more descriptors: the system's own words say which and where. */
function systemFailure(error: unknown): EdgeServerError {
  return new EdgeServerError('system_error', `The system refused: ${errorText(error)}.`, {
    cause: error,
  });
}
