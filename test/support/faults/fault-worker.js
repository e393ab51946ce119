// The broker, able to stop dead at named points inside of its objects, and to drop its objects from memory.
// A point that is armed says so in the log and never goes on, so that whoever reads the line can kill the process
// there. Nothing of this is in the bundle that ships.

import { DurableObject } from 'cloudflare:workers';
import { AsyncLocalStorage } from 'node:async_hooks';
import broker, * as classes from 'broker.js';
import { GroupCommit } from 'group-commit.js';

export * from 'broker.js';

/** The method of an object that runs, and how many blocks of it have run. */
const calls = new AsyncLocalStorage();
/** The points that were reached since recording began last; `undefined` until somebody records. */
let recorded;
/** The point to stop at, and how many times it may be passed before. */
let armed;
const liveObjects = new Set();

function reach(point) {
  recorded?.push(point);
  if (armed?.point !== point || armed.passes-- > 0) return;
  console.log(JSON.stringify({ event: 'fault_point', point }));
  // Nothing runs from here on, not even the commit that the runtime would do by itself.
  for (;;);
}

/** The names of the blocks that have run and are not flushed yet. */
let unflushed = [];

// Which blocks share a flush, of one call or of several that meet in an object, is a matter of who comes a moment sooner.
// So every block has a name of its own, by the call that it is of: the names of a call are the same each time.
const run = GroupCommit.prototype.run;
GroupCommit.prototype.run = function (block) {
  const call = calls.getStore();
  return run.call(this, () => {
    unflushed.push(call === undefined ? 'nobody: write' : `${call.method}: write ${++call.writes}`);
    return block();
  });
};

/** Every block that wrote has two points at its flush: written and not on disk, on disk and not answered. */
function watchFlushes(storage) {
  const sync = storage.sync.bind(storage);
  const watched = async () => {
    const names = unflushed;
    unflushed = [];
    for (const name of names) reach(`${name} not committed`);
    await sync();
    for (const name of names) reach(`${name} committed`);
  };
  Object.defineProperty(storage, 'sync', { value: watched });
}

const sign = crypto.subtle.sign.bind(crypto.subtle);
Object.defineProperty(crypto.subtle, 'sign', {
  value: async (...values) => {
    const signature = await sign(...values);
    // Before the first write an object may be reading its settings, which tries the keys; afterwards it signs.
    const call = calls.getStore();
    if (call !== undefined && call.writes > 0) {
      reach(`${call.method}: signed after write ${call.writes}`);
    }
    return signature;
  },
});

function watch(className) {
  const Original = classes[className];
  class Watched extends Original {
    constructor(state, environment) {
      watchFlushes(state.storage);
      super(state, environment);
      liveObjects.add(state);
    }
  }
  for (const name of methodsOf(Original.prototype)) {
    const method = `${className}.${name}`;
    Watched.prototype[name] = function (...values) {
      // What an object calls of its own is a part of what it was called for.
      if (calls.getStore()?.object === this) return Original.prototype[name].apply(this, values);
      return calls.run({ method, writes: 0, object: this }, async () => {
        const result = await Original.prototype[name].apply(this, values);
        reach(`${method}: done`);
        return result;
      });
    };
  }
  return Watched;
}

/** The methods of an object's class and of those that it extends, but for the runtime's own. */
function methodsOf(prototype) {
  const names = new Set();
  for (let each = prototype; !isRuntimes(each); each = Object.getPrototypeOf(each)) {
    for (const name of Object.getOwnPropertyNames(each)) {
      if (typeof Object.getOwnPropertyDescriptor(each, name).value === 'function') names.add(name);
    }
  }
  names.delete('constructor');
  return names;
}

const isRuntimes = (prototype) => prototype === DurableObject.prototype || prototype === null;

export const DeviceObject = watch('DeviceObject');
export const KeyObject = watch('KeyObject');
export const OrganizationObject = watch('OrganizationObject');
export const RevocationObject = watch('RevocationObject');
export const ReportObject = watch('ReportObject');
export const IntegrationObject = watch('IntegrationObject');

const commands = {
  '/fault/record': () => {
    recorded = [];
    return 'recording';
  },
  '/fault/points': () => recorded ?? [],
  '/fault/arm': ({ point, passes }) => {
    armed = { point, passes };
    recorded = [];
    return 'armed';
  },
  '/fault/disarm': () => {
    armed = undefined;
    return commands['/fault/points']();
  },
  '/fault/evict': () => {
    for (const state of liveObjects) {
      try {
        state.abort('evicted by a test');
      } catch {
        // Aborting ends what called it, too, when that is the object itself; here it never is.
      }
    }
    const count = liveObjects.size;
    liveObjects.clear();
    return count;
  },
};

export default {
  async fetch(request, environment, context) {
    const command = commands[new URL(request.url).pathname];
    if (command !== undefined) return Response.json(command(await request.json()));
    const response = await broker.fetch(request, environment, context);
    reach('worker: answer made');
    return response;
  },
};
