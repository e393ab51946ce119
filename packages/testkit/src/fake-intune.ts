import { randomBytes } from 'node:crypto';
import {
  type FakeManagementServer,
  type ManagementAnswer,
  type ManagementRequest,
  startManagementServer,
} from './fake-management-server.ts';

/** A device in the fake's inventory. Tests change it in place. */
export type FakeIntuneDevice = {
  serialNumber: string;
  udid?: string;
  managementState: string;
  lastSyncMs: number;
  isEncrypted?: boolean;
  operatingSystem?: string;
};

export type FakeIntune = FakeManagementServer & {
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly devices: Map<string, FakeIntuneDevice>;
  /** Challenges in SCEP requests that are valid, by transaction id; others get `validationCode`. */
  readonly validTransactions: Set<string>;
  validationCode: string;
  /** Of the SCEP service, as Graph names it. */
  serviceUri: string;
  /** What was reported about SCEP requests. */
  readonly notifications: { readonly action: string; readonly body: Record<string, unknown> }[];
  /** Ends every token. */
  forgetTokens(): void;
  /** At most so many devices on a page. */
  pageSize: number;
};

const unauthorized: ManagementAnswer = {
  status: 401,
  json: { error: { code: 'InvalidAuthenticationToken', message: 'Access token is empty.' } },
};
const badRequest = (message: string): ManagementAnswer => ({
  status: 400,
  json: { error: { code: 'BadRequest', message } },
});

function describeDevice(id: string, device: FakeIntuneDevice) {
  return {
    id,
    deviceName: `DESKTOP-${id}`,
    managedDeviceOwnerType: 'company',
    managementState: device.managementState,
    lastSyncDateTime: new Date(device.lastSyncMs).toISOString(),
    operatingSystem: device.operatingSystem ?? 'Windows',
    complianceState: 'compliant',
    jailBroken: 'Unknown',
    managementAgent: 'mdm',
    osVersion: '10.0.22631.3737',
    azureADRegistered: true,
    isEncrypted: device.isEncrypted ?? true,
    userPrincipalName: 'dana@corp.example',
    serialNumber: device.serialNumber,
    udid: device.udid ?? null,
  };
}

/** Microsoft's token endpoint, Graph's managed devices, and Intune's validation of SCEP requests, on one host. */
export async function startFakeIntune(): Promise<FakeIntune> {
  const tenantId = '7d1f2a30-0000-4000-8000-000000000002';
  const clientId = '9c3e4b51-0000-4000-8000-000000000003';
  const clientSecret = randomBytes(24).toString('base64url');
  const devices = new Map<string, FakeIntuneDevice>();
  const tokens = new Map<string, string>();

  const token = ({ body }: ManagementRequest): ManagementAnswer => {
    const form = new URLSearchParams(body);
    const scope = form.get('scope') ?? '';
    if (form.get('client_id') !== clientId || form.get('client_secret') !== clientSecret) {
      const error_description = 'AADSTS7000215: Invalid client secret provided.';
      return { status: 401, json: { error: 'invalid_client', error_description } };
    }
    // The double slash is part of what Intune's resource is called.
    if (scope !== `${fake.url}/.default` && scope !== `${fake.url}//.default`) {
      return { status: 400, json: { error: 'invalid_scope' } };
    }
    const access_token = randomBytes(32).toString('base64url');
    tokens.set(access_token, scope);
    return { status: 200, json: { token_type: 'Bearer', expires_in: 3599, access_token } };
  };

  const scopeOf = ({ headers }: ManagementRequest) =>
    tokens.get(headers.authorization?.replace(/^Bearer /, '') ?? '');

  const managedDevices = ({ query }: ManagementRequest): ManagementAnswer => {
    const filter = query.get('$filter');
    const serial = /^serialNumber eq '((?:[^']|'')*)'$/
      .exec(filter ?? '')?.[1]
      ?.replaceAll("''", "'");
    if (filter !== null && serial === undefined) return badRequest('Invalid filter clause');
    const found = [...devices].filter(
      ([, device]) => serial === undefined || device.serialNumber === serial,
    );
    const skip = Number(query.get('$skiptoken') ?? 0);
    const value = found.slice(skip, skip + fake.pageSize).map(([id, it]) => describeDevice(id, it));
    const next = new URL(`${fake.url}/v1.0/deviceManagement/managedDevices`);
    next.searchParams.set('$skiptoken', String(skip + fake.pageSize));
    const hasMore = skip + fake.pageSize < found.length;
    return { status: 200, json: { value, ...(hasMore ? { '@odata.nextLink': next.href } : {}) } };
  };

  const scepAction = (request: ManagementRequest, action: string): ManagementAnswer => {
    if (request.headers['api-version'] !== '2018-02-20') return badRequest('api-version');
    const body = JSON.parse(request.body);
    if (action !== 'validateRequest') {
      fake.notifications.push({ action, body: body.notification });
      return { status: 200, json: { code: 'Success', errorDescription: '' } };
    }
    const code = fake.validTransactions.has(body.request.transactionId)
      ? 'Success'
      : fake.validationCode;
    return { status: 200, json: { code, errorDescription: '' } };
  };

  const server = await startManagementServer((request) => {
    const { method, path } = request;
    if (method === 'POST' && path === `/${tenantId}/oauth2/v2.0/token`) return token(request);
    if (path.endsWith('/oauth2/v2.0/token')) {
      return { status: 400, json: { error: 'invalid_request', error_description: 'AADSTS90002' } };
    }
    const scope = scopeOf(request);
    const action = /^\/scep\/ScepActions\/(\w+)$/.exec(path)?.[1];
    if (action !== undefined) {
      return scope === `${fake.url}//.default` ? scepAction(request, action) : unauthorized;
    }
    if (scope !== `${fake.url}/.default`) return unauthorized;
    if (path === '/v1.0/deviceManagement/managedDevices') return managedDevices(request);
    if (path === '/v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints') {
      const value = [
        { providerName: 'PkiConnectorFEService', uri: `${fake.url}/pki` },
        { providerName: 'ScepRequestValidationFEService', uri: fake.serviceUri },
      ];
      return { status: 200, json: { value } };
    }
    return { status: 404, json: { error: { code: 'ResourceNotFound' } } };
  });

  const fake: FakeIntune = {
    ...server,
    tenantId,
    clientId,
    clientSecret,
    devices,
    validTransactions: new Set(),
    validationCode: 'ChallengeDecryptionError',
    serviceUri: `${server.url}/scep`,
    notifications: [],
    forgetTokens: () => tokens.clear(),
    pageSize: 100,
  };
  return fake;
}
