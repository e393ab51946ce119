import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSampleSite } from '@countersign/sample-sso';
import type { TestClient } from '@countersign/testkit/broker-client';
import {
  type DeviceHost,
  enrollDeviceHost,
  installDeviceHost,
  makeRootOwnedFolder,
} from '../device-host.ts';
import { findFreePort } from '../free-port.ts';
import { mtlsName, TestBroker } from '../test-broker.ts';
import { startAttackerSite } from './attacker-site.ts';
import { buildExtension, builtExtension } from './build-extension.ts';
import {
  createPackageKey,
  type PublishedExtension,
  packExtension,
  publishExtension,
} from './crx3-package.ts';
import { createTlsAuthority } from './tls-authority.ts';

/** One company with everything running, as plain data that tests in other processes can use. */
export type SignInWorld = {
  readonly brokerUrl: string;
  /** Where browsers present client certificates. */
  readonly mtlsUrl: string;
  readonly ownerToken: string;
  readonly client: TestClient;
  /** The sample site. */
  readonly ssoOrigin: string;
  /** Sites of an attacker. */
  readonly attacker: {
    /** Nobody in the company has heard of it. */
    readonly unknown: string;
    /** By mistake in the browser's policy. */
    readonly inPolicy: string;
    /** By mistake in the browser's policy and the host's configuration. */
    readonly inPolicyAndHost: string;
  };
  readonly extension: PublishedExtension;
  /** PEM; for newer versions of the extension. */
  readonly packageKey: string;
  /** Base64 of DER. */
  readonly webAuthority: string;
  /** PEM, for clients that are no browser. */
  readonly webAuthorityPem: string;
  readonly enrolledHost: DeviceHost;
  /** Everything that tests leave on the disk goes into the first; hosts, which must belong to root, into the second. */
  readonly folders: { readonly scratch: string; readonly rootOwned: string };
};

const serialNumber = 'E2E-4711-0001';

export type RunningWorld = {
  readonly world: SignInWorld;
  /** Ends the servers; the folders stay. */
  stop(): Promise<void>;
  /** At once, so that it can be done while the process exits. */
  removeFolders(): void;
};

/** Starts the broker, the sample site and the attacker's site, builds the extension, and enrolls one device. */
export async function startSignInWorld(): Promise<RunningWorld> {
  const scratch = mkdtempSync(join(tmpdir(), 'countersign-world-'));
  const rootOwned = makeRootOwnedFolder();
  const folders = [scratch, rootOwned];
  const removeFolders = () => {
    for (const folder of folders) {
      rmSync(folder, { recursive: true, force: true, maxRetries: 3, retryDelay: 100 });
    }
  };
  const undo: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    await buildExtension();
    const packageKey = createPackageKey();
    const extension = publishExtension(
      packExtension(builtExtension, packageKey),
      join(scratch, 'extension'),
    );
    const authority = await createTlsAuthority(new Date());
    const brokerTls = await authority.issue([mtlsName]);
    const tlsFiles = {
      certificateFile: join(scratch, 'broker-tls.pem'),
      keyFile: join(scratch, 'broker-tls.key'),
    };
    writeFileSync(tlsFiles.certificateFile, brokerTls.cert);
    writeFileSync(tlsFiles.keyFile, brokerTls.key, { mode: 0o600 });
    const broker = await TestBroker.start({ shardCount: 2, mtls: true, tlsFiles });
    undo.push(() => broker.stop());
    folders.push(broker.dataDirectory);

    const names = {
      sso: 'sso.corp.test',
      unknown: 'sso.evil.test',
      inPolicy: 'policy.evil.test',
      inPolicyAndHost: 'host.evil.test',
    };
    const tls = await authority.issue(Object.values(names));
    const attackerSite = await startAttackerSite(tls);
    undo.push(() => attackerSite.stop());
    const attackerOrigin = (name: string) => `https://${name}:${attackerSite.port}`;
    const attacker = {
      unknown: attackerOrigin(names.unknown),
      inPolicy: attackerOrigin(names.inPolicy),
      inPolicyAndHost: attackerOrigin(names.inPolicyAndHost),
    };

    const brokerUrl = broker.url;
    const ssoPort = await findFreePort();
    const ssoOrigin = `https://${names.sso}:${ssoPort}`;
    const client = await broker.client.registerClient({ origin: ssoOrigin, name: 'sso' });
    const site = await startSampleSite({
      port: ssoPort,
      tls,
      brokerUrl,
      mtlsUrl: broker.mtlsUrl,
      clientId: client.clientId,
      clientSecret: client.clientSecret,
      application: client.application,
    });
    undo.push(() => site.stop());

    const hardwareId = { serial_number: serialNumber };
    const enrolledHost = await installDeviceHost(rootOwned, {
      origins: [ssoOrigin, attacker.inPolicyAndHost],
      hardware_id: hardwareId,
    });
    const { enrollment_token } = await broker.client.createEnrollmentToken(hardwareId);
    await enrollDeviceHost(enrolledHost, brokerUrl, enrollment_token);

    const world: SignInWorld = {
      brokerUrl,
      mtlsUrl: broker.mtlsUrl,
      ownerToken: broker.server.ownerToken,
      client,
      ssoOrigin,
      attacker,
      extension,
      packageKey,
      webAuthority: Buffer.from(authority.certificateDer).toString('base64'),
      webAuthorityPem: authority.certificatePem,
      enrolledHost,
      folders: { scratch, rootOwned },
    };
    return { world, stop, removeFolders };
  } catch (error) {
    await stop();
    removeFolders();
    throw error;
  }
}
