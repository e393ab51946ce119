import { progressSchema } from './describe-resources.ts';
import { maxResults } from './list-query.ts';
import { groupSchema, userSchema } from './parse-path.ts';

/** What the server says of itself (RFC 7643 sections 5 to 7). */

const coreSchema = 'urn:ietf:params:scim:schemas:core:2.0:';
export const listSchema = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';

export const serviceProviderConfig = (base: string) => ({
  schemas: [`${coreSchema}ServiceProviderConfig`],
  documentationUri: undefined,
  patch: { supported: true },
  bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
  filter: { supported: true, maxResults },
  changePassword: { supported: false },
  sort: { supported: false },
  etag: { supported: true },
  authenticationSchemes: [
    {
      type: 'oauthbearertoken',
      name: 'Bearer token',
      description: 'The token of an administrator with the role provisioner.',
      primary: true,
    },
  ],
  meta: { resourceType: 'ServiceProviderConfig', location: `${base}/ServiceProviderConfig` },
});

const resourceType = (base: string, name: 'User' | 'Group', schema: string) => ({
  schemas: [`${coreSchema}ResourceType`],
  id: name,
  name,
  endpoint: `/${name}s`,
  schema,
  schemaExtensions: [{ schema: progressSchema, required: false }],
  meta: { resourceType: 'ResourceType', location: `${base}/ResourceTypes/${name}` },
});

export const resourceTypes = (base: string) => [
  resourceType(base, 'User', userSchema),
  resourceType(base, 'Group', groupSchema),
];

type Attribute = {
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'complex' | 'dateTime' | 'reference';
  readonly multiValued?: true;
  readonly required?: true;
  readonly caseExact?: true;
  readonly readOnly?: true;
  readonly unique?: true;
  readonly subAttributes?: readonly Attribute[];
};

function attribute({ name, type, subAttributes, ...rules }: Attribute): object {
  return {
    name,
    type,
    multiValued: rules.multiValued === true,
    required: rules.required === true,
    caseExact: rules.caseExact === true,
    mutability: rules.readOnly === true ? 'readOnly' : 'readWrite',
    returned: 'default',
    uniqueness: rules.unique === true ? 'server' : 'none',
    ...(subAttributes === undefined ? {} : { subAttributes: subAttributes.map(attribute) }),
  };
}

const text = (name: string): Attribute => ({ name, type: 'string' });
const id = (name: string): Attribute => ({ name, type: 'string', caseExact: true });

const userAttributes: readonly Attribute[] = [
  { ...text('userName'), required: true, unique: true },
  { ...id('externalId'), unique: true },
  text('displayName'),
  { name: 'active', type: 'boolean' },
  {
    name: 'name',
    type: 'complex',
    subAttributes: [text('formatted'), text('givenName'), text('familyName')],
  },
  {
    name: 'emails',
    type: 'complex',
    multiValued: true,
    subAttributes: [text('value'), text('type'), { name: 'primary', type: 'boolean' }],
  },
  {
    name: 'groups',
    type: 'complex',
    multiValued: true,
    readOnly: true,
    subAttributes: [id('value'), text('display'), id('$ref'), text('type')],
  },
];

const groupAttributes: readonly Attribute[] = [
  { ...text('displayName'), required: true, unique: true },
  id('externalId'),
  {
    name: 'members',
    type: 'complex',
    multiValued: true,
    subAttributes: [id('value'), text('display'), id('$ref'), text('type')],
  },
];

const progressAttributes: readonly Attribute[] = [
  { ...text('status'), readOnly: true },
  { ...id('jobs'), multiValued: true, readOnly: true },
  { name: 'completeAt', type: 'dateTime', readOnly: true },
];

const schema = (base: string, urn: string, name: string, attributes: readonly Attribute[]) => ({
  schemas: [`${coreSchema}Schema`],
  id: urn,
  name,
  attributes: attributes.map(attribute),
  meta: { resourceType: 'Schema', location: `${base}/Schemas/${urn}` },
});

export const schemas = (base: string) => [
  schema(base, userSchema, 'User', userAttributes),
  schema(base, groupSchema, 'Group', groupAttributes),
  schema(base, progressSchema, 'Progress', progressAttributes),
];

export const listResponse = (
  resources: readonly unknown[],
  total = resources.length,
  startIndex = 1,
) => ({
  schemas: [listSchema],
  totalResults: total,
  startIndex,
  itemsPerPage: resources.length,
  Resources: resources,
});
