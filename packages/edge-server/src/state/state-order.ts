import {
  type StateObject,
  type StateSection,
  stateObjects,
  stateSections,
} from '@countersign/protocol/state';

export type StatePlace = {
  readonly object: StateObject;
  readonly shard: number;
  readonly section: StateSection;
};

/** Every section of every object, in the one order in which an export has them. */
export function* statePlaces(shardCount: number): Generator<StatePlace, void, undefined> {
  for (const object of stateObjects) {
    const shards = object === 'organization' ? 1 : shardCount;
    for (let shard = 0; shard < shards; shard++) {
      for (const section of stateSections[object]) yield { object, shard, section };
    }
  }
}

export function samePlace(a: StatePlace, b: StatePlace): boolean {
  return a.object === b.object && a.shard === b.shard && a.section === b.section;
}

export function describePlace({ object, shard, section }: StatePlace): string {
  return object === 'organization' ? `${section}` : `${section} of ${object} shard ${shard}`;
}
