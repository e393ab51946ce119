import { randomBytes } from 'node:crypto';
import {
  type FakeManagementServer,
  type ManagementAnswer,
  startManagementServer,
} from './fake-management-server.ts';

/** A system in the fake's inventory. Tests change it in place. */
export type FakeSystem = {
  serialNumber: string;
  lastContactMs: number;
  encrypted?: boolean;
  os?: string;
};

export type FakeJumpCloud = FakeManagementServer & {
  readonly apiKey: string;
  readonly systems: Map<string, FakeSystem>;
};

function describeSystem(id: string, { serialNumber, lastContactMs, encrypted, os }: FakeSystem) {
  return {
    _id: id,
    id,
    organization: '5f0000000000000000000001',
    created: '2024-01-01T00:00:00.000Z',
    lastContact: new Date(lastContactMs).toISOString(),
    os: os ?? 'Mac OS X',
    version: '14.5',
    arch: 'arm64',
    hostname: `mac-${id}`,
    displayName: `mac-${id}`,
    agentVersion: '1.2.3',
    active: true,
    remoteIP: '192.0.2.7',
    serialNumber,
    ...(encrypted === undefined ? {} : { fde: { active: encrypted, keyPresent: encrypted } }),
  };
}

/** JumpCloud: systems, listed and searched. */
export async function startFakeJumpCloud(): Promise<FakeJumpCloud> {
  const apiKey = `jca_${randomBytes(20).toString('base64url')}`;
  const systems = new Map<string, FakeSystem>();

  const list = (found: [string, FakeSystem][], skip: number, limit: number): ManagementAnswer => ({
    status: 200,
    json: {
      totalCount: found.length,
      results: found.slice(skip, skip + limit).map(([id, system]) => describeSystem(id, system)),
    },
  });

  const server = await startManagementServer(({ method, path, headers, query, body }) => {
    if (headers['x-api-key'] !== apiKey) return { status: 401, json: { message: 'Unauthorized' } };
    if (method === 'GET' && path === '/api/systems') {
      const limit = Math.min(Number(query.get('limit') ?? 10), 100);
      return list([...systems], Number(query.get('skip') ?? 0), limit);
    }
    if (method === 'POST' && path === '/api/search/systems') {
      const wanted: unknown = JSON.parse(body).filter?.and?.[0]?.serialNumber;
      return list(
        [...systems].filter(([, system]) => system.serialNumber === wanted),
        0,
        100,
      );
    }
    return { status: 404, json: { message: 'Not Found' } };
  });
  return { ...server, apiKey, systems };
}
