import * as directory from '@countersign/protocol/admin-directory';
import type { Operation } from './operation.ts';

const scim = 'application/scim+json';
const answer = { answerType: scim };
const message = { bodyType: scim, ...answer };
const selection = {
  attributes: 'names of attributes to be answered alone',
  excludedAttributes: 'names of attributes to be left out',
};
const list = {
  ...answer,
  query: {
    filter: 'RFC 7644 section 3.4.2.2',
    startIndex: 'from 1',
    count: '0 to 200',
    ...selection,
  },
};
const resource = { ...message, query: selection };

/** The directory: SCIM 2.0 (RFC 7643, RFC 7644), and what administrators say of it. */
export const directoryOperations: Readonly<Record<string, Operation>> = {
  'GET /v1/admin/directory': {
    summary: 'How the directory is taken over, and whether it is stopped',
    answer: directory.directoryAnswer,
  },
  'PUT /v1/admin/directory': {
    summary: 'Set how the directory is taken over, and how much it may take away',
    body: directory.directoryInput,
    answer: directory.directoryAnswer,
  },
  'POST /v1/admin/directory/resume': {
    summary: 'Let go on what the quota has stopped',
    body: directory.directoryResumption,
    answer: directory.directoryAnswer,
  },
  'PUT /v1/admin/directory/import': {
    summary: 'Take over people and their groups, all of them or none',
    body: directory.directoryImport,
    answer: directory.directoryImportAnswer,
  },
  'GET /scim/v2/ServiceProviderConfig': { summary: 'What of SCIM is offered', ...answer },
  'GET /scim/v2/ResourceTypes': { summary: 'Users and groups', ...answer },
  'GET /scim/v2/ResourceTypes/:id': { summary: 'One of them', ...answer },
  'GET /scim/v2/Schemas': { summary: 'Their attributes', ...answer },
  'GET /scim/v2/Schemas/:id': { summary: 'Those of one schema', ...answer },
  'GET /scim/v2/Users': { summary: 'Find people', ...list },
  'POST /scim/v2/Users': { summary: 'Create a person', ...resource, status: [201] },
  'GET /scim/v2/Users/:id': { summary: 'A person', ...answer, query: selection },
  'PUT /scim/v2/Users/:id': { summary: 'Give a person all their attributes anew', ...resource },
  'PATCH /scim/v2/Users/:id': { summary: 'Change, activate or deactivate a person', ...resource },
  'DELETE /scim/v2/Users/:id': { summary: 'Deactivate and remove a person', status: [204] },
  'GET /scim/v2/Groups': { summary: 'Find groups', ...list },
  'POST /scim/v2/Groups': { summary: 'Create a group', ...resource, status: [201] },
  'GET /scim/v2/Groups/:id': { summary: 'A group', ...answer, query: selection },
  'PUT /scim/v2/Groups/:id': { summary: 'Give a group its name and members anew', ...resource },
  'PATCH /scim/v2/Groups/:id': { summary: 'Change a group', ...resource },
  'DELETE /scim/v2/Groups/:id': { summary: 'Remove a group that nothing uses', status: [204] },
  'POST /scim/v2/Bulk': { summary: 'Not offered', status: [501] },
  'GET /scim/v2/Me': { summary: 'Not offered: a token is no person', status: [501] },
};
