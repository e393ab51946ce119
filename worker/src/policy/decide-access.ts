import {
  type AccessDocument,
  type AccessOutcome,
  CompiledAccess,
  type EntityFacts,
  noSources,
  type PropertySources,
  type PropertyValue,
  readValues,
  type ShownDeviceTrust,
  type SuppliedProperties,
} from '@countersign/policy';
import type { DecisionReason } from '@countersign/protocol';
import type { ClientInput } from '@countersign/protocol/admin';
import { subjectTypeUser } from '@countersign/protocol/evaluation';

/** Access inside of an application: which of them is asked about, and what its rules make of what is known. Pure. */

type Entity = { readonly type: string; readonly id: string } & Supplied;
type Supplied = { readonly properties?: SuppliedProperties | undefined };

export type AccessQuestion = {
  readonly subject: Entity;
  readonly action: { readonly name: string } & Supplied;
  readonly resource: Entity;
};

type Client = Pick<ClientInput, 'applications' | 'property_sources'>;

type Organization = {
  readonly access: ReadonlyMap<string, AccessDocument>;
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
  readonly inactiveUsers: { readonly has: (userId: string) => boolean };
};

export type AccessDecision = {
  readonly question: AccessQuestion;
  /** `undefined` where no application of the client has resources of this type. */
  readonly application: string | undefined;
  readonly policyVersion: number;
  readonly reason: DecisionReason;
  readonly deviceTrust: ShownDeviceTrust | undefined;
  /** The user's groups that a rule could name. */
  readonly groups: readonly string[];
  /** What the client said of what it is the source of. */
  readonly asserted: {
    readonly subject?: Asserted;
    readonly resource?: Asserted;
    readonly action?: Asserted;
  };
} & AccessOutcome;

/** By name the values, or null where what was said is of no form that a rule could ask for. */
type Asserted = Readonly<Record<string, readonly PropertyValue[] | null>>;

const compiled = new WeakMap<AccessDocument, CompiledAccess>();

/** The document ready for questions: compiled when it is first asked, and again only when it changes. */
function compiledAccess(document: AccessDocument): CompiledAccess {
  const known = compiled.get(document);
  if (known !== undefined) return known;
  const made = new CompiledAccess(document);
  compiled.set(document, made);
  return made;
}

/**
 * The application whose resources these are, of those that the client is registered for: the first one of its
 * registration that has the type.
 */
export function findAccess(
  { access }: Pick<Organization, 'access'>,
  { applications }: Pick<Client, 'applications'>,
  resourceType: string,
): { readonly application: string; readonly rules: CompiledAccess } | undefined {
  for (const application of applications) {
    const document = access.get(application);
    if (document === undefined) continue;
    const rules = compiledAccess(document);
    if (rules.actionsOf(resourceType) !== undefined) return { application, rules };
  }
  return undefined;
}

type Sources = { readonly [Name in 'subject' | 'resource' | 'action']: PropertySources };
const sourcesOfClients = new WeakMap<NonNullable<Client['property_sources']>, Sources>();
const nothing: Sources = { subject: noSources, resource: noSources, action: noSources };

function sourcesOf({ property_sources: registered }: Client): Sources {
  if (registered === undefined) return nothing;
  const known = sourcesOfClients.get(registered);
  if (known !== undefined) return known;
  const of = (entity: keyof Sources): PropertySources =>
    new Map(
      registered
        .filter((source) => source.entity === entity)
        .map(({ name, overrides_stored }) => [
          name,
          { overridesStored: overrides_stored === true },
        ]),
    );
  const made = { subject: of('subject'), resource: of('resource'), action: of('action') };
  sourcesOfClients.set(registered, made);
  return made;
}

/** The part of what a client says that its registration lets count. */
function assertedBy({ supplied, sources }: EntityFacts): Asserted | undefined {
  if (supplied === undefined || sources.size === 0) return undefined;
  const names = [...sources.keys()].filter((name) => Object.hasOwn(supplied, name));
  if (names.length === 0) return undefined;
  return Object.fromEntries(names.map((name) => [name, readValues(supplied[name]) ?? null]));
}

const noOutcome = { decision: false, rule: 'none', criteria: [] } as const;

/** @param deviceTrust of the device that the subject has just signed in with, where somebody has shown that */
export function decideAccess(
  organization: Organization,
  client: Client,
  question: AccessQuestion,
  deviceTrust: ShownDeviceTrust | undefined,
): AccessDecision {
  const { subject, action, resource } = question;
  const found = findAccess(organization, client, resource.type);
  const isUser = subject.type === subjectTypeUser;
  const refuse = (reason: DecisionReason): AccessDecision => ({
    ...noOutcome,
    question,
    application: found?.application,
    policyVersion: found?.rules.document.version ?? 0,
    reason,
    deviceTrust,
    groups: [],
    asserted: {},
  });
  if (found === undefined) return refuse('resource_type_unknown');
  const { application, rules } = found;
  if (rules.actionsOf(resource.type)?.includes(action.name) !== true) {
    return refuse('action_unknown');
  }
  if (isUser && organization.inactiveUsers.has(subject.id)) return refuse('subject_inactive');

  const sources = sourcesOf(client);
  const ofSubject = {
    stored: rules.findSubject(subject.type, subject.id),
    supplied: subject.properties,
    sources: sources.subject,
  };
  const ofResource = {
    stored: rules.findResource(resource.type, resource.id),
    supplied: resource.properties,
    sources: sources.resource,
  };
  const ofAction = { stored: undefined, supplied: action.properties, sources: sources.action };
  const groups = isUser
    ? rules.groups.filter((group) => organization.groups.get(group)?.has(subject.id) === true)
    : [];
  const outcome = rules.evaluate({
    subjectType: subject.type,
    subjectId: subject.id,
    action: action.name,
    resourceType: resource.type,
    resourceId: resource.id,
    groups: new Set(groups),
    subject: ofSubject,
    resource: ofResource,
    actionProperties: ofAction,
    deviceTrust,
  });
  const asserted = Object.entries({ subject: ofSubject, resource: ofResource, action: ofAction })
    .map(([name, facts]) => [name, assertedBy(facts)] as const)
    .filter(([, said]) => said !== undefined);
  return {
    ...outcome,
    question,
    application,
    policyVersion: rules.document.version,
    reason: outcome.decision ? 'access_allowed' : 'access_denied',
    deviceTrust,
    groups,
    asserted: Object.fromEntries(asserted),
  };
}
