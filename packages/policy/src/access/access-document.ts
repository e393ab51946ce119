import { resourceTypeApplication } from '@countersign/protocol/evaluation';
import * as z from 'zod/mini';
import { peopleCondition, ruleFields } from '../policy-document.ts';

/**
 * What may be done inside an application: its types of resources with their actions, what is known of single resources
 * and subjects, and rules in order, the first that matches decides. Where none does, nothing is allowed.
 */

export const entityTypeName = z.string().check(z.minLength(1), z.maxLength(64));
export const entityId = z.string().check(z.minLength(1), z.maxLength(256));
export const actionName = z.string().check(z.minLength(1), z.maxLength(64));

/** Not `__proto__`: what a rule asks for must be something that JSON readers agree on. */
export const propertyName = z.string().check(
  z.regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/, {
    error: 'must be 1 to 64 of letters, digits, _ . : -, starting with a letter',
  }),
);

export const maxTextLength = 512;
export const maxValues = 64;
export const propertyValue = z.union([
  z.string().check(z.maxLength(maxTextLength)),
  z.number(),
  z.boolean(),
]);
export type PropertyValue = z.infer<typeof propertyValue>;

/** One value, or several: then each of them holds. */
export const storedValue = z.union([
  propertyValue,
  z.array(propertyValue).check(z.maxLength(maxValues)),
]);

/** What the administrator knows of a subject or a resource. What is not named, it has not. */
export const storedEntity = z.strictObject({
  type: entityTypeName,
  id: entityId,
  properties: z._default(z.record(propertyName, storedValue), {}),
});
export type StoredEntity = z.infer<typeof storedEntity>;

const listOf = <Item extends z.ZodMiniType>(item: Item, most: number) =>
  z.array(item).check(z.minLength(1), z.maxLength(most));

export const resourceType = z.strictObject({
  type: entityTypeName.check(
    z.refine((type) => type !== resourceTypeApplication, {
      error: `must not be ${resourceTypeApplication}, about which sign-ins are asked`,
    }),
  ),
  /** What may be asked about a resource of this type. */
  actions: listOf(actionName, 100),
});

/** The property is one of these, or has one of these among its values. Text is never equal to a number or a boolean. */
export const propertyCondition = z.strictObject({
  name: propertyName,
  any_of: listOf(propertyValue, maxValues),
});
export type PropertyCondition = z.infer<typeof propertyCondition>;

const maxNames = 1000;
const propertyConditions = listOf(propertyCondition, 16);

/** All that are named must hold. A rule without any matches everything that may be asked. */
export const accessConditions = z.strictObject({
  actions: z.optional(listOf(actionName, maxNames)),
  resource_types: z.optional(listOf(entityTypeName, maxNames)),
  /** Ids. */
  resources: z.optional(listOf(entityId, maxNames)),
  subject_types: z.optional(listOf(entityTypeName, maxNames)),
  /** Of subjects of type `user` alone. */
  people: z.optional(peopleCondition),
  subject_properties: z.optional(propertyConditions),
  resource_properties: z.optional(propertyConditions),
  action_properties: z.optional(propertyConditions),
  /** Of the device that the subject has just signed in with. */
  device_trust: z.optional(z.enum(['trusted', 'not_trusted'])),
});
export type AccessConditions = z.infer<typeof accessConditions>;

export const accessRule = z.strictObject({
  ...ruleFields,
  when: accessConditions,
  effect: z.enum(['allow', 'deny']),
});
export type AccessRule = z.infer<typeof accessRule>;

const accessShape = {
  resource_types: z.array(resourceType).check(z.maxLength(100)),
  subjects: z._default(z.array(storedEntity).check(z.maxLength(5000)), []),
  resources: z._default(z.array(storedEntity).check(z.maxLength(5000)), []),
  rules: z.array(accessRule).check(z.maxLength(1000)),
} as const;

const shape = z.strictObject(accessShape);
type AccessShape = z.infer<typeof shape>;

type Mistake = { readonly path: readonly (string | number)[]; readonly message: string };

function* repeated(keys: readonly string[], list: keyof AccessShape, what: string) {
  const seen = new Set<string>();
  for (const [place, key] of keys.entries()) {
    if (seen.has(key)) yield { path: [list, place], message: `has ${what} of an earlier one` };
    seen.add(key);
  }
}

export const entityKey = (type: string, id: string): string => JSON.stringify([type, id]);

/** Names that the document itself does not have: such a rule would say something else than its author thinks. */
function* findMistakes({
  resource_types,
  subjects,
  resources,
  rules,
}: AccessShape): Generator<Mistake> {
  const types = new Set(resource_types.map(({ type }) => type));
  const actions = new Set(resource_types.flatMap((each) => each.actions));
  yield* repeated([...resource_types.map(({ type }) => type)], 'resource_types', 'the type');
  yield* repeated(
    subjects.map(({ type, id }) => entityKey(type, id)),
    'subjects',
    'the type and id',
  );
  yield* repeated(
    resources.map(({ type, id }) => entityKey(type, id)),
    'resources',
    'the type and id',
  );
  yield* repeated(
    rules.map(({ id }) => id),
    'rules',
    'the id',
  );
  for (const [place, { type }] of resources.entries()) {
    if (types.has(type)) continue;
    yield { path: ['resources', place, 'type'], message: 'is none of resource_types' };
  }
  for (const [place, { when }] of rules.entries()) {
    const at = ['rules', place, 'when'] as const;
    if (when.resource_types?.every((type) => types.has(type)) === false) {
      yield { path: [...at, 'resource_types'], message: 'names a type that there is not' };
    }
    if (when.actions?.every((action) => actions.has(action)) === false) {
      yield { path: [...at, 'actions'], message: 'names an action that no type has' };
    }
  }
}

/** What an administrator writes. */
export const accessFields = shape.check((context) => {
  for (const { path, message } of findMistakes(context.value)) {
    context.issues.push({ code: 'custom', path: [...path], message, input: context.value });
  }
});
export type AccessFields = z.infer<typeof accessFields>;

/** `version`: of the organization that brought it. */
export const accessDocument = z.strictObject({ version: z.int(), ...accessShape });
export type AccessDocument = z.infer<typeof accessDocument>;
