import compatibility from '@mdn/browser-compat-data' with { type: 'json' };
import type { CompatStatement, Identifier, SimpleSupportStatement } from '@mdn/browser-compat-data';
import type { ExtensionTarget } from './build-extension.ts';

/** A feature that a browser of some version has not, and since which version it has: `never`, or `unknown` to the data. */
export type MissingFeature = { readonly feature: string; readonly since: string };

/**
 * Those of the features that a browser lacks at `oldestVersion`, by MDN's browser-compat-data. Features are paths in
 * there, such as `manifest.background.service_worker`. Of what has no data of its own (one size of the icon) the data
 * of what it is part of holds; a feature of which not even that is known is missing.
 */
export function missingFeatures(
  browser: ExtensionTarget,
  oldestVersion: string,
  features: readonly string[],
): MissingFeature[] {
  return features.flatMap((feature) => {
    const support = compatibilityOf(feature)?.support[browser];
    if (support === undefined) return [{ feature, since: 'unknown' }];
    const statements = [support].flat();
    if (statements.some((statement) => isSupported(statement, oldestVersion))) return [];
    const complete = statements.find(({ partial_implementation: isPartial }) => isPartial !== true);
    return [{ feature, since: String(complete?.version_added || 'never') }];
  });
}

/** The features that a manifest asks for, as paths in the data. */
export function featuresOfManifest(manifest: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(manifest).flatMap(([key, value]) => {
    const feature = `manifest.${key}`;
    if (key === 'manifest_version') return [`${feature}.v${value}`];
    return [feature, ...membersOf(value).map((member) => `${feature}.${member}`)];
  });
}

/** The paths below a value: `gecko`, `gecko.id`; the texts of a list, and the members of an object. */
function membersOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.filter((each) => /^\w+$/.test(String(each)));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    key,
    ...membersOf(inner).map((member) => `${key}.${member}`),
  ]);
}

function compatibilityOf(feature: string): CompatStatement | undefined {
  let found: CompatStatement | undefined;
  let identifier: Identifier | undefined = compatibility.webextensions;
  for (const name of feature.split('.')) {
    identifier = identifier?.[name];
    found = identifier?.__compat ?? found;
  }
  return found;
}

function isSupported(statement: SimpleSupportStatement, oldestVersion: string): boolean {
  const { version_added: added, version_removed: removed } = statement;
  if (typeof added !== 'string' || removed !== undefined) return false;
  if (statement.partial_implementation === true || statement.flags !== undefined) return false;
  return isAtMost(added.replace('≤', ''), oldestVersion);
}

/** `16.4` is at most `16.10`. What is no version (`preview`) is never. */
function isAtMost(version: string, limit: string): boolean {
  const [left, right] = [version, limit].map((text) => text.split('.').map(Number));
  for (let index = 0; index < Math.max(left?.length ?? 0, right?.length ?? 0); index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return true;
}
