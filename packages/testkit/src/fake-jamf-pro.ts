import { randomBytes } from 'node:crypto';
import {
  type FakeManagementServer,
  type ManagementAnswer,
  type ManagementRequest,
  startManagementServer,
} from './fake-management-server.ts';

/** A computer in the fake's inventory. Tests change it in place. */
export type FakeComputer = {
  serialNumber: string;
  udid: string;
  managed: boolean;
  lastContactMs: number;
  username?: string;
  /** When it last sent its inventory; with the last contact when left out. */
  reportMs?: number;
  firewallEnabled?: boolean | null;
  fileVaultState?: string | null;
  osVersion?: string;
};

export type FakeJamfPro = FakeManagementServer & {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly username: string;
  readonly password: string;
  readonly computers: Map<string, FakeComputer>;
  /** How long tokens that are handed out from now on last. */
  tokenLifetimeSeconds: number;
  /** Ends every token, as a restart of Jamf Pro does. */
  forgetTokens(): void;
  /** Leaves out the interface of this version, as older and newer releases do. */
  removedVersions: Set<string>;
  /** Sends a webhook as Jamf Pro does, and answers what the receiver said. */
  sendWebhook(
    to: string,
    webhookEvent: string,
    event: unknown,
    authentication?: Readonly<Record<string, string>>,
  ): Promise<Response>;
};

const invalidToken: ManagementAnswer = {
  status: 401,
  json: {
    httpStatus: 401,
    errors: [{ code: 'INVALID_TOKEN', description: 'Unauthorized', id: '0', field: null }],
  },
};

function describeComputer(id: string, computer: FakeComputer, sections: ReadonlySet<string>) {
  const inSection = (section: string, value: object) => (sections.has(section) ? value : null);
  const { serialNumber, udid, managed, lastContactMs, username = null } = computer;
  const {
    reportMs = lastContactMs,
    firewallEnabled = true,
    fileVaultState = 'ENCRYPTED',
  } = computer;
  return {
    id,
    udid,
    general: inSection('GENERAL', {
      name: `Mac ${id}`,
      lastIpAddress: '10.0.0.9',
      jamfBinaryVersion: '11.5.1',
      platform: 'Mac',
      remoteManagement: { managed, managementUsername: 'jamfadmin' },
      supervised: true,
      mdmCapable: { capable: true, capableUsers: [] },
      reportDate: new Date(reportMs).toISOString(),
      lastContactTime: new Date(lastContactMs).toISOString(),
      enrolledViaAutomatedDeviceEnrollment: true,
      userApprovedMdm: true,
      managementId: `management-${id}`,
      extensionAttributes: [],
    }),
    hardware: inSection('HARDWARE', {
      make: 'Apple',
      model: 'MacBook Pro',
      serialNumber,
      appleSilicon: true,
    }),
    userAndLocation: inSection('USER_AND_LOCATION', {
      username,
      realname: null,
      email: null,
      room: null,
    }),
    security: inSection('SECURITY', { sipStatus: 'ENABLED', firewallEnabled }),
    diskEncryption: inSection('DISK_ENCRYPTION', {
      bootPartitionEncryptionDetails: {
        partitionName: 'Macintosh HD',
        partitionFileVault2State: fileVaultState,
        partitionFileVault2Percent: 100,
      },
      individualRecoveryKeyValidityStatus: 'NOT_APPLICABLE',
      institutionalRecoveryKeyPresent: false,
      fileVault2EnabledUserNames: [],
    }),
    operatingSystem: inSection('OPERATING_SYSTEM', {
      name: 'macOS',
      version: computer.osVersion ?? '14.5',
      build: '23F79',
    }),
    certificates: null,
    groupMemberships: null,
  };
}

/** `a=="x",b=="y"`: the part of RSQL that clients use here. `undefined` for anything else. */
function rsqlPredicate(filter: string): ((computer: FakeComputer) => boolean) | undefined {
  const terms = filter.match(/[\w.]+==("(\\.|[^"\\])*"|[^",;]+)/g) ?? [];
  if (terms.join(',') !== filter) return undefined;
  const tests = terms.map((term) => {
    const [, field, quoted, bare] = /^([\w.]+)==(?:"((?:\\.|[^"\\])*)"|(.*))$/.exec(term) ?? [];
    const value = quoted?.replace(/\\(.)/g, '$1') ?? bare;
    if (field === 'hardware.serialNumber') return (it: FakeComputer) => it.serialNumber === value;
    return field === 'udid' ? (it: FakeComputer) => it.udid === value : undefined;
  });
  const known = tests.filter((test) => test !== undefined);
  if (known.length !== tests.length) return undefined;
  return (computer) => known.some((test) => test(computer));
}

/**
 * Jamf Pro: tokens for API clients and for accounts, the computer inventory with sections, paging and filters, and the
 * webhooks that it sends.
 */
export async function startFakeJamfPro(): Promise<FakeJamfPro> {
  const clientId = 'a1b2c3d4-0000-4000-8000-000000000001';
  const clientSecret = randomBytes(24).toString('base64url');
  const [username, password] = ['countersign-api', randomBytes(12).toString('base64url')];
  const computers = new Map<string, FakeComputer>();
  const removedVersions = new Set<string>();
  const tokens = new Map<string, number>();
  let webhookId = 0;

  const newToken = () => {
    const token = randomBytes(32).toString('base64url');
    tokens.set(token, Date.now() + fake.tokenLifetimeSeconds * 1000);
    return token;
  };

  const oauthToken = ({ body }: ManagementRequest): ManagementAnswer => {
    const form = new URLSearchParams(body);
    if (form.get('grant_type') !== 'client_credentials') {
      return { status: 400, json: { error: 'unsupported_grant_type' } };
    }
    if (form.get('client_id') !== clientId || form.get('client_secret') !== clientSecret) {
      return { status: 401, json: { error: 'invalid_client' } };
    }
    const expires_in = fake.tokenLifetimeSeconds;
    return {
      status: 200,
      json: { access_token: newToken(), scope: 'api-role:2', token_type: 'Bearer', expires_in },
    };
  };

  const basicToken = ({ headers }: ManagementRequest): ManagementAnswer => {
    const expected = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    if (headers.authorization !== expected) return invalidToken;
    const expires = new Date(Date.now() + fake.tokenLifetimeSeconds * 1000).toISOString();
    return { status: 200, json: { token: newToken(), expires } };
  };

  const inventory = ({ headers, query }: ManagementRequest): ManagementAnswer => {
    const token = headers.authorization?.replace(/^Bearer /, '') ?? '';
    if ((tokens.get(token) ?? 0) <= Date.now()) return invalidToken;
    const filter = query.get('filter');
    const matches = filter === null ? () => true : rsqlPredicate(filter);
    if (matches === undefined) {
      const errors = [{ code: 'INVALID_FIELD', description: 'filter', id: '0', field: 'filter' }];
      return { status: 400, json: { httpStatus: 400, errors } };
    }
    const [page, size] = [Number(query.get('page') ?? 0), Number(query.get('page-size') ?? 100)];
    const found = [...computers].filter(([, computer]) => matches(computer));
    const sections = new Set(query.getAll('section'));
    const results = found
      .slice(page * size, (page + 1) * size)
      .map(([id, computer]) => describeComputer(id, computer, sections));
    return { status: 200, json: { totalCount: found.length, results } };
  };

  const server = await startManagementServer((request) => {
    const { method, path } = request;
    if (method === 'POST' && path === '/api/oauth/token') return oauthToken(request);
    if (method === 'POST' && path === '/api/v1/auth/token') return basicToken(request);
    const version = /^\/api\/(v[123])\/computers-inventory$/.exec(path)?.[1];
    if (method === 'GET' && version !== undefined && !removedVersions.has(version)) {
      return inventory(request);
    }
    return { status: 404, json: { httpStatus: 404, errors: [] } };
  });

  const fake: FakeJamfPro = {
    ...server,
    clientId,
    clientSecret,
    username,
    password,
    computers,
    tokenLifetimeSeconds: 599,
    forgetTokens: () => tokens.clear(),
    removedVersions,
    sendWebhook: (to, webhookEvent, event, authentication = {}) => {
      webhookId++;
      const webhook = {
        id: webhookId,
        name: 'Countersign',
        webhookEvent,
        eventTimestamp: Date.now(),
      };
      return fetch(to, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...authentication },
        body: JSON.stringify({ webhook, event }),
      });
    },
  };
  return fake;
}
