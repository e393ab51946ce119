import type { BrowserApi } from '../browser-api.ts';
import type { Diagnosis } from '../diagnostics/diagnose.ts';
import type { DiagnosisState } from '../diagnostics/finding.ts';

type Look = {
  /** Folder of `public` and start of the files' names. */
  readonly icon: 'icon/' | 'toolbar/off-';
  readonly badge: string;
  /** Dark enough for white letters. */
  readonly color: string;
};

const looks: Readonly<Record<DiagnosisState, Look>> = {
  ready: { icon: 'icon/', badge: '', color: '#14713d' },
  development: { icon: 'icon/', badge: 'test', color: '#8a5300' },
  attention: { icon: 'icon/', badge: '!', color: '#8a5300' },
  not_ready: { icon: 'toolbar/off-', badge: '!', color: '#b3261e' },
};

/** Says on the button, before anybody opens the popup, whether something is missing; its title says what. */
export async function showInToolbar(
  action: BrowserApi['action'],
  { state, headline }: Pick<Diagnosis, 'state' | 'headline'>,
): Promise<void> {
  const { icon, badge, color } = looks[state];
  await Promise.all([
    action.setIcon({ path: { 16: `/${icon}16.png`, 32: `/${icon}32.png` } }),
    action.setTitle({ title: `Countersign: ${headline}` }),
    action.setBadgeText({ text: badge }),
    action.setBadgeBackgroundColor({ color }),
  ]);
}
