import { describe, expect, it } from 'vitest';
import { type AccessFacts, checkAccess, explainAccess } from './access-criteria.ts';
import type { AccessConditions } from './access-document.ts';
import { goodAccess, onRecord, saidBy } from './testing/access-facts.ts';

const property = (name: string, ...any_of: (string | number | boolean)[]) => [{ name, any_of }];
const verdict = (when: AccessConditions, facts: Partial<AccessFacts> = {}) =>
  checkAccess(when, { ...goodAccess, ...facts });

describe('a condition', () => {
  it.each<[AccessConditions, Partial<AccessFacts>]>([
    [{ actions: ['write', 'read'] }, { action: 'delete' }],
    [{ resource_types: ['document'] }, { resourceType: 'folder' }],
    [{ resources: ['cover', 'page'] }, { resourceId: 'pag' }],
    [{ subject_types: ['user'] }, { subjectType: 'service' }],
    [{ people: { users: ['ada'] } }, { subjectId: 'bob' }],
    [{ people: { users: ['ada'] } }, { subjectType: 'service' }],
    [{ people: { groups: ['staff'] } }, { groups: new Set() }],
    [{ people: { except_groups: ['guests'] } }, { groups: new Set(['staff', 'guests']) }],
    [{ people: { except_users: ['bob'] } }, { subjectType: 'service' }],
    [{ device_trust: 'trusted' }, { deviceTrust: { trusted: false } }],
    [{ subject_properties: property('role', 'owner', 'editor') }, { subject: onRecord({}) }],
    [
      { resource_properties: property('status', 'active') },
      { resource: onRecord({ role: 'active' }) },
    ],
    [
      { action_properties: property('soft', true) },
      { actionProperties: saidBy(['soft'], { soft: 'true' }) },
    ],
  ])('%j is met by what it asks for, and by nothing else', (when, other) => {
    expect(verdict(when)).toBe('met');
    expect(verdict(when, other)).toBe('not_met');
  });

  it.each<[AccessConditions, Partial<AccessFacts>]>([
    [{ device_trust: 'trusted' }, { deviceTrust: undefined }],
    [{ device_trust: 'not_trusted' }, { deviceTrust: undefined }],
    [
      { subject_properties: property('role', 'editor') },
      { subject: saidBy([], { role: 'editor' }) },
    ],
    [{ resource_properties: property('status', 'active') }, { resource: saidBy(['status'], {}) }],
    [
      { action_properties: property('soft', true) },
      { actionProperties: saidBy([], { soft: true }) },
    ],
  ])('%j is unknown where nobody has said who could', (when, other) => {
    expect(verdict(when, other)).toBe('unknown');
    // One that is not met settles it.
    expect(verdict({ ...when, actions: ['write'] }, other)).toBe('not_met');
  });

  it('of properties wants all that it names', () => {
    const both = [...property('role', 'editor'), ...property('office', 'Berlin')];
    const subject = (office: string) => ({ subject: onRecord({ role: 'editor', office }) });
    expect(verdict({ subject_properties: both }, subject('Berlin'))).toBe('met');
    expect(verdict({ subject_properties: both }, subject('Paris'))).toBe('not_met');
  });

  it('says what it wanted and what it saw', () => {
    const when: AccessConditions = {
      device_trust: 'trusted',
      people: { users: ['bob'] },
      subject_properties: [...property('role', 'owner'), ...property('age', 7, true)],
      resource_properties: property('status', 'active'),
    };
    const facts = {
      ...goodAccess,
      subjectType: 'service',
      deviceTrust: undefined,
      resource: saidBy(['status'], undefined),
    };
    expect(explainAccess(when, facts)).toEqual([
      { criterion: 'people', verdict: 'not_met', wanted: 'bob', seen: 'a service' },
      { criterion: 'device_trust', verdict: 'unknown', wanted: 'trusted', seen: 'not said' },
      {
        criterion: 'subject_properties',
        verdict: 'not_met',
        wanted: 'role "owner", age 7 or true',
        seen: 'role "editor", no age',
      },
      {
        criterion: 'resource_properties',
        verdict: 'unknown',
        wanted: 'status "active"',
        seen: 'status not said',
      },
    ]);
  });
});
