import type { IntegrationConnection } from '@countersign/protocol/admin-integrations';
import { checkOutboundUrl, type OutboundNetwork } from './outbound-url.ts';

/** Where a connection's interfaces are, as URLs without a slash at the end. */
export type ConnectionUrls = {
  /** Of the interface that devices are looked up at. */
  readonly api: string;
  /** Intune alone: where tokens come from, and what one for the validation of SCEP requests is for. */
  readonly login: string;
  readonly management: string;
};

export type ConnectionUrlsResult =
  | { readonly ok: true; readonly urls: ConnectionUrls }
  /** `field` is that of the connection, in dotted form. */
  | { readonly ok: false; readonly field: string; readonly detail: string };

type HostRule = {
  /** Path parts and hosts that only an API has. */
  readonly isApi: (url: URL) => boolean;
  /** `undefined` for a host that is no tenant's. */
  readonly apiBase: (url: URL) => string | undefined;
  readonly example: string;
};

/** A host that only `--outbound-allow` can have let through has no tenant's name: a relay of one's own. */
const isOwnRelay = ({ hostname }: URL) => !/[a-z]\.[a-z]/.test(hostname);

const rules: Readonly<Record<'jamf_pro' | 'jumpcloud' | 'kandji', HostRule>> = {
  jamf_pro: {
    isApi: ({ pathname }) => /^\/+(api|JSSResource|uapi)(\/|$)/i.test(pathname),
    apiBase: ({ origin }) => origin,
    example: 'https://example.jamfcloud.com',
  },
  jumpcloud: {
    isApi: ({ pathname }) => /^\/+api(\/|$)/i.test(pathname),
    apiBase: (url) =>
      /^console\.((eu|in)\.)?jumpcloud\.com$/.test(url.hostname) || isOwnRelay(url)
        ? `${url.origin}/api`
        : undefined,
    example: 'https://console.jumpcloud.com',
  },
  kandji: {
    isApi: ({ hostname, pathname }) =>
      /\.api\.(eu\.)?kandji\.io$/.test(hostname) || /^\/+api(\/|$)/i.test(pathname),
    apiBase: (url) => {
      const [, tenant, region = ''] =
        /^([a-z0-9-]+)\.((?:eu)\.)?(?:kandji\.io|iru\.com)$/.exec(url.hostname) ?? [];
      if (tenant !== undefined) return `https://${tenant}.api.${region}kandji.io/api/v1`;
      return isOwnRelay(url) ? `${url.origin}/api/v1` : undefined;
    },
    example: 'https://example.kandji.io',
  },
};

function tenantApi(
  text: string,
  rule: HostRule,
  networks: readonly OutboundNetwork[],
): ConnectionUrlsResult {
  const refuse = (detail: string) => ({ ok: false, field: 'tenant_url', detail }) as const;
  const checked = checkOutboundUrl(text, networks);
  if (!checked.ok) return refuse(checked.detail);
  const { url } = checked;
  if (rule.isApi(url)) {
    return refuse(
      `is the address of an API; give the one that administrators open in their browser, like ${rule.example}: the API's address follows from it`,
    );
  }
  const api = rule.apiBase(url);
  if (api === undefined || url.pathname !== '/' || url.search !== '') {
    return refuse(`must be the tenant's address and nothing more, like ${rule.example}`);
  }
  return { ok: true, urls: { api, login: '', management: '' } };
}

function intuneUrls(
  connection: Extract<IntegrationConnection, { kind: 'intune' }>,
  networks: readonly OutboundNetwork[],
): ConnectionUrlsResult {
  const origins: string[] = [];
  for (const field of ['graph_url', 'login_url', 'management_url'] as const) {
    const checked = checkOutboundUrl(connection[field], networks);
    if (!checked.ok) return { ok: false, field, detail: checked.detail };
    const { url } = checked;
    if (url.pathname !== '/' || url.search !== '') {
      const detail = 'must be an address without a path; paths and versions follow by themselves';
      return { ok: false, field, detail };
    }
    origins.push(url.origin);
  }
  const [graph = '', login = '', management = ''] = origins;
  return { ok: true, urls: { api: `${graph}/v1.0`, login, management } };
}

/** Checks the addresses of a connection, and derives those of its interfaces. */
export function deriveConnectionUrls(
  connection: IntegrationConnection,
  networks: readonly OutboundNetwork[],
): ConnectionUrlsResult {
  if (connection.kind === 'inventory_file') {
    return { ok: true, urls: { api: '', login: '', management: '' } };
  }
  if (connection.kind === 'intune') return intuneUrls(connection, networks);
  return tenantApi(connection.tenant_url, rules[connection.kind], networks);
}
