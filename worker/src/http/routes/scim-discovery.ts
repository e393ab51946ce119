import {
  listResponse,
  resourceTypes,
  schemas,
  serviceProviderConfig,
} from '../../scim/discovery.ts';
import type { AdminContext } from '../for-admin.ts';
import { forDirectory, scimBase, scimJson } from '../scim-exchange.ts';

/** What the SCIM server says of itself (RFC 7644 section 4), and what it does not offer. */

/** `GET /scim/v2/ServiceProviderConfig`. */
export const getServiceProviderConfig = forDirectory({}, (broker) =>
  scimJson(serviceProviderConfig(scimBase(broker))),
);

/** `GET /scim/v2/ResourceTypes`. */
export const getResourceTypes = forDirectory({}, (broker) =>
  scimJson(listResponse(resourceTypes(scimBase(broker)))),
);

function answerOne(context: AdminContext, all: ReadonlyArray<{ readonly id: string }>) {
  const found = all.find(({ id }) => id === context.parameter('id'));
  return found === undefined
    ? context.refuse({ code: 'scim_resource_not_found' })
    : scimJson(found);
}

/** `GET /scim/v2/ResourceTypes/{id}`. */
export const getResourceType = forDirectory({}, (broker, context) =>
  answerOne(context, resourceTypes(scimBase(broker))),
);

/** `GET /scim/v2/Schemas`. */
export const getSchemas = forDirectory({}, (broker) =>
  scimJson(listResponse(schemas(scimBase(broker)))),
);

/** `GET /scim/v2/Schemas/{id}`. */
export const getSchema = forDirectory({}, (broker, context) =>
  answerOne(context, schemas(scimBase(broker))),
);

/** `POST /scim/v2/Bulk`. */
export const postScimBulk = forDirectory({}, (_, context) =>
  context.refuse({ code: 'scim_not_supported' }),
);

/** `GET /scim/v2/Me` (RFC 7644 section 3.11): a token is no person. */
export const getScimMe = forDirectory({}, (_, context) =>
  context.refuse({ code: 'scim_not_supported' }),
);
