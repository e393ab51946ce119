import type {
  HostStatus,
  NativeAnswer,
  NativeRequest,
} from '@countersign/protocol/native-messages';
import { nativeHostName, nativeRequest } from '@countersign/protocol/native-messages';
import { parseFields } from '@countersign/protocol/schemas';
import type { BrowserApi, ContentScript } from './browser-api.ts';

/** For tests: a browser with managed storage, a scripting registry, events, and a host behind native messaging. */
export type FakeBrowser = BrowserApi & {
  /** Every native message that was sent. */
  readonly nativeMessages: NativeRequest[];
  readonly localItems: Map<string, unknown>;
  readonly scripts: Map<string, ContentScript>;
  /** Open pages; `loaded` counts how often the bridge was put into each. */
  readonly openTabs: { readonly id: number; readonly url: string; loaded: number }[];
  /** Match patterns to which the person gives no access. */
  readonly withheld: Set<string>;
  /** What the button in the toolbar shows. */
  readonly toolbar: { icon: string; title: string; badge: string };
  /** What policy sets. `setByPolicy` also fires `storage.onChanged`, as a late policy does. */
  setByPolicy(items: Record<string, unknown>): void;
  install(): void;
  start(): void;
  /** A message from a document of the extension or of a page; the answer, or `undefined` if nobody took it. */
  deliver(message: unknown, sender: object): Promise<unknown> | undefined;
};

/** Answers native messages; throws as a browser does, or returns whatever a program might write. */
export type FakeHost = (request: NativeRequest) => unknown;

export function createFakeBrowser(host: FakeHost = healthyHost()): FakeBrowser {
  let managedItems: Record<string, unknown> = {};
  const localItems = new Map<string, unknown>();
  const scripts = new Map<string, ContentScript>();
  const nativeMessages: NativeRequest[] = [];
  const openTabs: FakeBrowser['openTabs'] = [];
  const withheld = new Set<string>();
  const toolbar = { icon: '', title: '', badge: '' };
  const installed = createEvent<[]>();
  const started = createEvent<[]>();
  const changed = createEvent<[Record<string, unknown>, string]>();
  const messages = createEvent<[unknown, object], Promise<unknown> | undefined>();

  return {
    nativeMessages,
    localItems,
    scripts,
    openTabs,
    withheld,
    toolbar,
    setByPolicy(items) {
      managedItems = items;
      changed.fire({}, 'managed');
    },
    install: () => void installed.fire(),
    start: () => void started.fire(),
    deliver: (message, sender) =>
      messages.fire(message, sender).find((answer) => answer !== undefined),
    runtime: {
      async sendNativeMessage(application, message) {
        await turn();
        if (application !== nativeHostName) {
          throw new Error('Specified native messaging host not found.');
        }
        const parsed = parseFields(nativeRequest, message);
        if (!parsed.ok) throw new Error(`the fake host got ${parsed.field}: ${parsed.detail}`);
        nativeMessages.push(parsed.value);
        return host(parsed.value);
      },
      sendMessage: async () => {
        throw new Error('Could not establish connection. Receiving end does not exist.');
      },
      getManifest: () => ({ version: '1.2.3' }),
      onMessage: messages,
      onInstalled: installed,
      onStartup: started,
    },
    storage: {
      local: {
        async get(key) {
          await turn();
          return typeof key === 'string' && localItems.has(key)
            ? { [key]: localItems.get(key) }
            : {};
        },
        async set(items) {
          await turn();
          for (const [key, value] of Object.entries(items)) {
            localItems.set(key, structuredClone(value));
          }
        },
      },
      managed: {
        async get() {
          await turn();
          return structuredClone(managedItems);
        },
      },
      onChanged: changed,
    },
    scripting: createScripting(scripts, openTabs),
    permissions: { contains: async ({ origins }) => !origins.some((it) => withheld.has(it)) },
    tabs: {
      async query({ url }) {
        await turn();
        // Chromium's match patterns, as far as the extension uses them: scheme, host, any port, any path.
        return openTabs.filter((tab) => url.includes(patternOf(tab.url)));
      },
    },
    action: {
      setIcon: async ({ path }) => void Object.assign(toolbar, { icon: path[16] }),
      setTitle: async ({ title }) => void Object.assign(toolbar, { title }),
      setBadgeText: async ({ text }) => void Object.assign(toolbar, { badge: text }),
      setBadgeBackgroundColor: async () => undefined,
    },
  };
}

function patternOf(url: string): string {
  const { protocol, hostname } = new URL(url);
  return `${protocol}//${hostname}/*`;
}

/** Refuses what Chromium refuses, with its words, after a turn in which another call may come in between. */
function createScripting(
  scripts: Map<string, ContentScript>,
  openTabs: FakeBrowser['openTabs'],
): BrowserApi['scripting'] {
  const requireKnown = (id: string) => {
    if (!scripts.has(id)) throw new Error(`Nonexistent script ID '${id}'`);
  };
  return {
    async getRegisteredContentScripts({ ids }) {
      await turn();
      return ids.flatMap((id) => scripts.get(id) ?? []);
    },
    async registerContentScripts(added) {
      await turn();
      for (const script of added) {
        if (scripts.has(script.id)) throw new Error(`Duplicate script ID '${script.id}'`);
        scripts.set(script.id, script);
      }
    },
    async updateContentScripts(updated) {
      await turn();
      for (const script of updated) {
        requireKnown(script.id);
        scripts.set(script.id, script);
      }
    },
    async unregisterContentScripts({ ids }) {
      await turn();
      for (const id of ids) {
        requireKnown(id);
        scripts.delete(id);
      }
    },
    async executeScript({ target }) {
      await turn();
      const tab = openTabs.find(({ id }) => id === target.tabId);
      if (tab === undefined) throw new Error(`No tab with id: ${target.tabId}.`);
      tab.loaded += 1;
    },
  };
}

export const healthyStatus: HostStatus = {
  host_version: '0.1.0',
  enrolled: true,
  development: false,
  origins: ['https://sso.corp.test'],
  broker_url: 'https://broker.corp.test',
  device_id: 'device-1',
  certificate: {
    fingerprint_sha256: 'F'.repeat(43),
    not_before: '2026-01-01T00:00:00Z',
    not_after: '2027-01-01T00:00:00Z',
    issuer: 'MTLS Certificate Authority',
  },
  key_protection: 'file',
};

export const fakeChallenge = 'aGVhZGVy.cGF5bG9hZA.c2lnbmF0dXJl';
export const fakeResponse = 'aGVhZGVy..aXY.Y2lwaGVydGV4dA.dGFn';

/** A host that is enrolled and answers every challenge. */
export function healthyHost(status: Partial<HostStatus> = {}): FakeHost {
  return ({ version, id, type }): NativeAnswer =>
    type === 'attest'
      ? { version, id, type, response: fakeResponse }
      : { version, id, type, status: { ...healthyStatus, ...status } };
}

/** A host with which the browser fails in these words. */
export function failingHost(words: string): FakeHost {
  return () => {
    throw new Error(words);
  };
}

function createEvent<Arguments extends unknown[], Answer = void>() {
  const listeners: ((...given: Arguments) => Answer)[] = [];
  return {
    addListener: (listener: (...given: Arguments) => Answer) => void listeners.push(listener),
    fire: (...given: Arguments) => listeners.map((listener) => listener(...given)),
  };
}

/** Lets everything run that is already due. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
