import { describe, expect, it } from 'vitest';
import { type EntityFacts, noSources, propertyOf } from './properties.ts';

const stored = { type: 'user', id: 'ada', properties: { role: 'editor', tags: ['a', 2] } };
const may = (overridesStored: boolean) => new Map([['role', { overridesStored }]]);
const factsOf = (facts: Partial<EntityFacts>): EntityFacts => ({
  stored,
  supplied: { role: 'owner' },
  sources: noSources,
  ...facts,
});

describe('a property', () => {
  it.each<[string, Partial<EntityFacts>, ReturnType<typeof propertyOf>]>([
    ['is what is stored', {}, { values: ['editor'] }],
    [
      'is what is stored, where the source may not override',
      { sources: may(false) },
      { values: ['editor'] },
    ],
    ['is what the source says, where it may', { sources: may(true) }, { values: ['owner'] }],
    [
      'is what is stored, where the source is silent',
      { sources: may(true), supplied: {} },
      { values: ['editor'] },
    ],
    [
      'is what is stored, where nothing is supplied',
      { sources: may(true), supplied: undefined },
      { values: ['editor'] },
    ],
    [
      'is what the source says of what is not on record',
      { stored: undefined, sources: may(false) },
      { values: ['owner'] },
    ],
    ['is unknown of what is not on record', { stored: undefined }, 'unknown'],
    [
      'is unknown where its source says something else',
      { stored: undefined, sources: may(false), supplied: { other: 1 } },
      'unknown',
    ],
    [
      'is unknown where its source says nothing that can be read',
      { sources: may(true), supplied: { role: {} } },
      'unknown',
    ],
    [
      'is unknown where its source says null',
      { stored: undefined, sources: may(false), supplied: { role: null } },
      'unknown',
    ],
  ])('%s', (_, facts, expected) => {
    expect(propertyOf(factsOf(facts), 'role')).toEqual(expected);
  });

  it('is absent of what is on record without it, unless its source has not spoken', () => {
    const properties = {};
    const withoutIt = { stored: { ...stored, properties } };
    expect(propertyOf(factsOf(withoutIt), 'role')).toBe('absent');
    const silent = { ...withoutIt, sources: may(false), supplied: {} };
    expect(propertyOf(factsOf(silent), 'role')).toBe('unknown');
    expect(propertyOf(factsOf({ ...silent, supplied: { role: 'owner' } }), 'role')).toEqual({
      values: ['owner'],
    });
  });

  it('may have several values', () => {
    expect(propertyOf(factsOf({}), 'tags')).toEqual({ values: ['a', 2] });
    const lists = { stored: undefined, sources: may(false) };
    expect(propertyOf(factsOf({ ...lists, supplied: { role: [] } }), 'role')).toEqual({
      values: [],
    });
    expect(propertyOf(factsOf({ ...lists, supplied: { role: ['a', {}] } }), 'role')).toBe(
      'unknown',
    );
  });

  it('is unknown where more is said of it than could be stored', () => {
    const said = (role: unknown) =>
      propertyOf(factsOf({ sources: may(true), supplied: { role } }), 'role');
    const values = Array.from({ length: 64 }, (_, place) => place);
    expect(said(values)).toEqual({ values });
    expect(said([...values, 64])).toBe('unknown');
    expect(said('a'.repeat(512))).toEqual({ values: ['a'.repeat(512)] });
    expect(said('a'.repeat(513))).toBe('unknown');
  });

  it.each(['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'isPrototypeOf'])(
    'called %s is nobody’s who was not given it',
    (name) => {
      const sources = new Map([[name, { overridesStored: true }]]);
      expect(propertyOf(factsOf({ sources, supplied: {} }), name)).toBe('unknown');
      expect(propertyOf(factsOf({}), name)).toBe('absent');
      expect(propertyOf(factsOf({ sources, supplied: { [name]: 'x' } }), name)).toEqual({
        values: ['x'],
      });
    },
  );
});
