import { parseFields } from '@countersign/protocol/schemas';
import { describe, expect, it } from 'vitest';
import { accessFields } from './access-document.ts';
import { accessChange } from './administration.ts';

const rule = { id: 'all', when: {}, effect: 'allow' };
const good = {
  resource_types: [{ type: 'document', actions: ['read'] }],
  subjects: [{ type: 'user', id: 'ada', properties: { role: ['a', 1, true] } }],
  resources: [{ type: 'document', id: 'page' }],
  rules: [rule],
};
const when = (conditions: object) => ({ ...good, rules: [{ ...rule, when: conditions }] });
const condition = { name: 'role', any_of: ['a'] };

describe('an access document', () => {
  it('may leave out what nobody knows', () => {
    const { subjects: _, resources: __, ...least } = good;
    expect(parseFields(accessFields, least)).toMatchObject({
      ok: true,
      value: { subjects: [], resources: [] },
    });
    expect(parseFields(accessChange, { access: good })).toMatchObject({ ok: true });
  });

  it.each<[string, object]>([
    [
      'resource_types.0.type',
      { ...good, resource_types: [{ type: 'application', actions: ['a'] }], resources: [] },
    ],
    ['resource_types.0.actions', { ...good, resource_types: [{ type: 'document', actions: [] }] }],
    [
      'resource_types.1',
      { ...good, resource_types: [...good.resource_types, ...good.resource_types] },
    ],
    ['subjects.1', { ...good, subjects: [...good.subjects, { type: 'user', id: 'ada' }] }],
    ['resources.1', { ...good, resources: [...good.resources, ...good.resources] }],
    ['resources.0.type', { ...good, resources: [{ type: 'folder', id: 'page' }] }],
    [
      'subjects.0.properties.role',
      { ...good, subjects: [{ type: 'user', id: 'ada', properties: { role: {} } }] },
    ],
    [
      'subjects.0.properties.1st',
      { ...good, subjects: [{ type: 'user', id: 'ada', properties: { '1st': 1 } }] },
    ],
    ['rules.1', { ...good, rules: [rule, rule] }],
    ['rules.0.id', { ...good, rules: [{ ...rule, id: 'default' }] }],
    ['rules.0.id', { ...good, rules: [{ ...rule, id: 'none' }] }],
    ['rules.0.effect', { ...good, rules: [{ ...rule, effect: 'step_up' }] }],
    ['rules.0.when.actions', when({ actions: ['read', 'burn'] })],
    ['rules.0.when.resource_types', when({ resource_types: ['folder'] })],
    ['rules.0.when.resources', when({ resources: [] })],
    ['rules.0.when.network', when({ network: {} })],
    ['rules.0.when.subject_properties', when({ subject_properties: [] })],
    [
      'rules.0.when.subject_properties.0.any_of',
      when({ subject_properties: [{ name: 'role', any_of: [] }] }),
    ],
    [
      'rules.0.when.subject_properties.0.name',
      when({ subject_properties: [{ ...condition, name: '__proto__' }] }),
    ],
    [
      'rules.0.when.subject_properties.0.any_of.0',
      when({ subject_properties: [{ ...condition, any_of: [null] }] }),
    ],
    ['otherwise', { ...good, otherwise: 'allow' }],
  ])('names %s where that is wrong', (field, document) => {
    expect(parseFields(accessFields, document)).toMatchObject({ ok: false, field });
  });
});
