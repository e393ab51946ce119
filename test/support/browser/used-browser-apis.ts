import type { BrowserApi } from '../../../extension/src/browser-api.ts';

/**
 * What the extension uses of the browser, by the names that browser-compat-data has for it. The compiler asks for every
 * member that `BrowserApi` declares, and nothing else in the extension may reach for the browser.
 */
const usedApis = {
  runtime: {
    sendNativeMessage: ['runtime.sendNativeMessage'],
    sendMessage: ['runtime.sendMessage'],
    id: ['runtime.id'],
    getManifest: ['runtime.getManifest'],
    onMessage: [
      'runtime.onMessage',
      'runtime.onMessage.return_promise',
      'runtime.MessageSender.origin',
      'runtime.MessageSender.frameId',
      'runtime.MessageSender.documentLifecycle',
    ],
    onInstalled: ['runtime.onInstalled'],
    onStartup: ['runtime.onStartup'],
  },
  storage: {
    local: [
      'storage.local',
      'storage.StorageArea.get',
      'storage.StorageArea.set',
      'storage.StorageArea.setAccessLevel',
    ],
    managed: ['storage.managed'],
    onChanged: ['storage.onChanged'],
  },
  scripting: {
    getRegisteredContentScripts: ['scripting.getRegisteredContentScripts'],
    registerContentScripts: [
      'scripting.registerContentScripts',
      'scripting.RegisteredContentScript.persistAcrossSessions',
    ],
    updateContentScripts: ['scripting.updateContentScripts'],
    unregisterContentScripts: ['scripting.unregisterContentScripts'],
    executeScript: ['scripting.executeScript', 'scripting.executeScript.injectImmediately'],
  },
  permissions: { contains: ['permissions.contains'] },
  tabs: { query: ['tabs.query'] },
  action: {
    setIcon: ['action.setIcon'],
    setTitle: ['action.setTitle'],
    setBadgeText: ['action.setBadgeText'],
    setBadgeBackgroundColor: ['action.setBadgeBackgroundColor'],
  },
} satisfies {
  [Namespace in keyof BrowserApi]: Record<keyof BrowserApi[Namespace], readonly string[]>;
};

export const usedBrowserApis: readonly string[] = Object.values(usedApis)
  .flatMap((members) => Object.values<readonly string[]>(members).flat())
  .map((name) => `api.${name}`);
