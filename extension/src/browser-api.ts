import polyfilled from 'webextension-polyfill';

/**
 * The browser's extension API. This is the only module that imports the polyfill; everything else is handed the part
 * of `BrowserApi` that it needs. Where the browser has a native `browser` object the polyfill passes it through.
 */
export const browserApi: BrowserApi = polyfilled;

export type StorageArea = {
  get(keys?: string | null): Promise<Record<string, unknown>>;
  set(items: Record<string, unknown>): Promise<void>;
};

export type ContentScript = {
  readonly id: string;
  readonly js: string[];
  readonly matches: string[];
  readonly runAt: 'document_start';
  readonly allFrames: boolean;
  readonly persistAcrossSessions: boolean;
};

type Listening<Listener> = { addListener(listener: Listener): void };

/**
 * As much of the API as the extension uses. What comes out of it is `unknown` until a schema has read it. Tests hold
 * each member against what the oldest supported Chromium, Firefox and Safari have.
 */
export type BrowserApi = {
  readonly runtime: {
    sendNativeMessage(application: string, message: object): Promise<unknown>;
    sendMessage(message: object): Promise<unknown>;
    /** Absent in a content script whose extension was updated or removed under the open page. */
    readonly id?: string | undefined;
    getManifest(): { readonly version: string };
    readonly onMessage: Listening<
      (message: unknown, sender: object) => Promise<unknown> | undefined
    >;
    readonly onInstalled: Listening<() => void>;
    readonly onStartup: Listening<() => void>;
  };
  readonly storage: {
    readonly local: StorageArea;
    /** Absent in Safari. Firefox rejects where policy sets nothing; Chromium gives `{}` until policy has arrived. */
    readonly managed?: Pick<StorageArea, 'get'>;
    /** Firefox does not announce changes of managed storage: it reads policy when it starts. */
    readonly onChanged: Listening<(changes: Record<string, unknown>, areaName: string) => void>;
  };
  readonly scripting: {
    getRegisteredContentScripts(filter: {
      ids: string[];
    }): Promise<{ readonly id: string; readonly matches?: string[] }[]>;
    registerContentScripts(scripts: ContentScript[]): Promise<void>;
    updateContentScripts(scripts: ContentScript[]): Promise<void>;
    unregisterContentScripts(filter: { ids: string[] }): Promise<void>;
    executeScript(injection: {
      target: { tabId: number };
      files: string[];
      injectImmediately: boolean;
    }): Promise<unknown>;
  };
  readonly permissions: {
    /** Does the extension have access to all of these pages? People can take it away, in Safari they have to give it. */
    contains(permissions: { origins: string[] }): Promise<boolean>;
  };
  readonly tabs: {
    /** Tabs without an address that the extension may know of have no `url`. */
    query(filter: {
      url: string[];
    }): Promise<{ readonly id?: number | undefined; readonly url?: string | undefined }[]>;
  };
  /** The button in the toolbar. */
  readonly action: {
    setIcon(details: { path: Record<number, string> }): Promise<void>;
    setTitle(details: { title: string }): Promise<void>;
    setBadgeText(details: { text: string }): Promise<void>;
    setBadgeBackgroundColor(details: { color: string }): Promise<void>;
  };
};
