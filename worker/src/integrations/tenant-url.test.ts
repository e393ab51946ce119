import type { IntegrationConnection } from '@countersign/protocol/admin-integrations';
import { describe, expect, it } from 'vitest';
import { deriveConnectionUrls } from './tenant-url.ts';

const derive = (connection: IntegrationConnection) => deriveConnectionUrls(connection, []);
const apiOf = (connection: IntegrationConnection) => {
  const derived = derive(connection);
  return derived.ok ? derived.urls.api : derived;
};
const authentication = { method: 'basic', username: 'api' } as const;
const jamf = (tenant_url: string) => ({ kind: 'jamf_pro', tenant_url, authentication }) as const;
const kandji = (tenant_url: string) => ({ kind: 'kandji', tenant_url }) as const;
const jumpcloud = (tenant_url: string) => ({ kind: 'jumpcloud', tenant_url }) as const;

describe('deriveConnectionUrls', () => {
  it('derives the address of the API from that of the tenant', () => {
    expect(apiOf(jamf('https://example.jamfcloud.com'))).toBe('https://example.jamfcloud.com');
    expect(apiOf(jamf('https://Jamf.example.com:8443/'))).toBe('https://jamf.example.com:8443');
    expect(apiOf(kandji('https://example.kandji.io'))).toBe('https://example.api.kandji.io/api/v1');
    expect(apiOf(kandji('https://example.eu.kandji.io/'))).toBe(
      'https://example.api.eu.kandji.io/api/v1',
    );
    expect(apiOf(kandji('https://example.iru.com'))).toBe('https://example.api.kandji.io/api/v1');
    expect(apiOf(jumpcloud('https://console.eu.jumpcloud.com'))).toBe(
      'https://console.eu.jumpcloud.com/api',
    );
    expect(
      derive({
        kind: 'intune',
        tenant_id: 'corp.example',
        client_id: 'c',
        login_url: 'https://login.microsoftonline.us',
        graph_url: 'https://graph.microsoft.us/',
        management_url: 'https://api.manage.microsoft.us',
      }),
    ).toEqual({
      ok: true,
      urls: {
        api: 'https://graph.microsoft.us/v1.0',
        login: 'https://login.microsoftonline.us',
        management: 'https://api.manage.microsoft.us',
      },
    });
  });

  it('refuses the address of an API, and says what to give instead', () => {
    for (const connection of [
      jamf('https://example.jamfcloud.com/api'),
      jamf('https://example.jamfcloud.com/api/v1/'),
      jamf('https://example.jamfcloud.com/JSSResource'),
      kandji('https://example.api.kandji.io'),
      kandji('https://example.api.eu.kandji.io/api/v1'),
      jumpcloud('https://console.jumpcloud.com/api'),
    ]) {
      const derived = derive(connection);
      expect(derived).toMatchObject({ ok: false, field: 'tenant_url' });
      expect(derived.ok ? '' : derived.detail).toMatch(/^is the address of an API; give .*https:/);
    }
  });

  it('refuses what is not a tenant of the kind', () => {
    for (const connection of [
      jamf('https://example.jamfcloud.com/index.html'),
      jamf('https://example.jamfcloud.com/?x=1'),
      jamf('http://example.jamfcloud.com'),
      jamf('https://10.0.0.1'),
      kandji('https://example.com'),
      kandji('https://kandji.io.example.com'),
      jumpcloud('https://evil.example/'),
    ]) {
      expect(derive(connection)).toMatchObject({ ok: false, field: 'tenant_url' });
    }
    const intune = {
      kind: 'intune',
      tenant_id: 't',
      client_id: 'c',
      login_url: 'https://login.microsoftonline.com',
      graph_url: 'https://graph.microsoft.com',
      management_url: 'https://api.manage.microsoft.com',
    } as const;
    expect(derive({ ...intune, graph_url: 'https://graph.microsoft.com/v1.0' })).toMatchObject({
      ok: false,
      field: 'graph_url',
    });
    expect(derive({ ...intune, login_url: 'https://localhost' })).toMatchObject({
      field: 'login_url',
    });
  });
});
