import * as z from 'zod/mini';
import type { ExpectedVersions } from '../directory/change-directory-user.ts';
import type { Broker } from './broker.ts';
import { type AdminContext, type AdminRoute, type AdminRule, forAdmin } from './for-admin.ts';
import { type BodyResult, readBody } from './read-body.ts';
import { scimMediaType } from './scim-error.ts';

/** What the routes of SCIM have in common. */

export const scimBase = ({ brokerUrl }: Pick<Broker, 'brokerUrl'>) => `${brokerUrl}/scim/v2`;

/** For those who may provision: the role `provisioner`, and whoever may more. */
export const forDirectory = (
  rule: Omit<AdminRule, 'permission'>,
  handler: (broker: Broker, context: AdminContext) => Promise<Response> | Response,
): AdminRoute => forAdmin({ ...rule, permission: 'directory.provision' }, handler);

/** Okta's documents have the last of these. */
const mediaTypes = [scimMediaType, 'application/json', 'text/json'];
/** A group with all its members. */
const maxScimBytes = 16 * 1024 * 1024;

export const readScimBody = (context: AdminContext): Promise<BodyResult<unknown>> =>
  readBody(context.request, z.unknown(), mediaTypes, maxScimBytes);

export const scimJson = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': scimMediaType, ...headers },
  });

type Described = {
  readonly meta: { readonly version: string; readonly location: string };
};

/** A resource with what RFC 7644 section 3.14 has beside it. */
export const scimResource = (resource: Described, shown: unknown, status = 200) =>
  scimJson(shown, status, {
    ETag: resource.meta.version,
    ...(status === 201 ? { Location: resource.meta.location } : {}),
  });

const entityTag = /^(?:W\/)?"([0-9]{1,15})"$/;

/** Versions that a header names; `undefined`: any. A tag that is none of ours is that of no version. */
function versionsIn(header: string | null): ExpectedVersions {
  if (header === null || header.trim() === '*') return undefined;
  return header
    .split(',')
    .map((tag) => entityTag.exec(tag.trim())?.[1])
    .filter((version) => version !== undefined)
    .map(Number);
}

export const expectedVersions = ({ headers }: Request): ExpectedVersions =>
  versionsIn(headers.get('If-Match'));

/** Whether the asker has this version already (`If-None-Match`). */
export const isKnown = ({ headers }: Request, version: number): boolean =>
  headers.has('If-None-Match') &&
  versionsIn(headers.get('If-None-Match'))?.includes(version) !== false;
