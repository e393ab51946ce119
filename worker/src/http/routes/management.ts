import { integrationId } from '@countersign/protocol/admin-integrations';
import { maxInventoryBytes } from '@countersign/protocol/management-webhooks';
import { parseFields } from '@countersign/protocol/schemas';
import { parseInventory } from '../../integrations/inventory-file.ts';
import { askObject, integrationObject } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readLimited } from '../read-body.ts';
import { logEvent } from '../route-context.ts';

/** What administrators do with an integration's management: try it, or stand in for it with a file. */

/** `POST /v1/admin/integrations/{id}/test-credentials`: success, or the exact cause. */
export const postCredentialsTest = forAdmin(
  { permission: 'integrations.write', event: 'admin.integration.test', whileReadOnly: true },
  async (broker, context) => {
    const id = parseFields(integrationId, context.parameter('id'));
    if (!id.ok) return context.refuse({ code: 'integration_not_found' });
    const tested = await askObject(() =>
      integrationObject(broker, id.value).testCredentials(id.value),
    );
    if (tested.ok) return Response.json({ success: true, detail: tested.detail });
    if (!('detail' in tested) || tested.code === 'integration_not_found') {
      return context.refuse({ code: tested.code });
    }
    const { code, detail } = tested;
    logEvent('credentials_test_failed', {
      request_id: context.requestId,
      id: id.value,
      code,
      detail,
    });
    return Response.json({ success: false, code, detail });
  },
);

/** `PUT /v1/admin/integrations/{id}/inventory`: a CSV file of all devices, in place of the one before. */
export const putInventory = forAdmin(
  { permission: 'integrations.write', event: 'admin.inventory.replace' },
  async (broker, context) => {
    const id = context.parameter('id');
    const found = await askObject(() => broker.organization().findIntegration(id));
    if (!found.ok) return context.refuse({ code: found.code });
    if (found.integration.kind !== 'inventory_file') {
      const detail =
        'is an integration that asks a device management; only inventory_file has a file';
      return context.refuse({ code: 'field_invalid', field: 'id', detail });
    }
    const [mediaType = ''] = (context.request.headers.get('Content-Type') ?? '').split(';');
    if (mediaType.trim().toLowerCase() !== 'text/csv') {
      return context.refuse({ code: 'content_type_unsupported', detail: 'must be text/csv' });
    }
    const bytes = await readLimited(context.request, maxInventoryBytes);
    if (bytes === undefined) {
      return context.refuse({
        code: 'body_too_large',
        detail: `at most ${maxInventoryBytes} bytes`,
      });
    }
    const text = decode(bytes);
    const parsed =
      text === undefined
        ? ({ ok: false, line: 1, detail: 'the file is not UTF-8' } as const)
        : parseInventory(text);
    if (!parsed.ok) {
      const { line, detail } = parsed;
      return context.refuse({ code: 'field_invalid', field: `line ${line}`, detail });
    }
    const stored = await askObject(() => integrationObject(broker, id).putInventory(parsed.rows));
    if (!stored.ok) return context.refuse({ code: stored.code });
    const { devices, devicesBefore } = stored;
    logEvent('inventory_replaced', {
      request_id: context.requestId,
      id,
      devices,
      devices_before: devicesBefore,
    });
    return Response.json({ devices, devices_before: devicesBefore });
  },
);

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    return undefined;
  }
}
