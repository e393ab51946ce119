import type { Diagnosis } from '../../diagnostics/diagnose.ts';

/** Colour is never the only signal: each state has its own stroke inside the circle. */
const signStrokes: Readonly<Record<Diagnosis['state'] | 'checking', string>> = {
  ready: 'M15 25l6 6 12-13',
  development: 'M15 25l6 6 12-13',
  attention: 'M24 14v12M24 33v.2',
  not_ready: 'M17 17l14 14M31 17l-14 14',
  checking: 'M16 24h.2M24 24h.2M32 24h.2',
};

const whoFixesItTexts: Readonly<Record<Diagnosis['whoFixesIt'], string>> = {
  nobody: '',
  you: 'Try this yourself first.',
  it_support: 'Your IT support can mend this.',
};

export function elementOf(page: Document, id: string): Element {
  const element = page.getElementById(id);
  if (element === null) throw new Error(`the popup has no element ${id}`);
  return element;
}

export function showChecking(page: Document): void {
  setState(page, 'checking');
  elementOf(page, 'headline').textContent = 'Checking this browser …';
  elementOf(page, 'explanation').textContent = '';
  elementOf(page, 'who-fixes-it').textContent = '';
  elementOf(page, 'copied').textContent = '';
}

export function showDiagnosis(page: Document, diagnosis: Diagnosis): void {
  elementOf(page, 'headline').textContent = diagnosis.headline;
  elementOf(page, 'explanation').textContent = diagnosis.explanation;
  elementOf(page, 'who-fixes-it').textContent = whoFixesItTexts[diagnosis.whoFixesIt];
  elementOf(page, 'details').replaceChildren(
    ...diagnosis.details.flatMap(({ label, value }) => {
      const term = page.createElement('dt');
      term.textContent = label;
      const description = page.createElement('dd');
      description.textContent = value;
      return [term, description];
    }),
  );
  setState(page, diagnosis.state);
}

function setState(page: Document, state: Diagnosis['state'] | 'checking'): void {
  page.body.dataset.state = state;
  elementOf(page, 'sign-stroke').setAttribute('d', signStrokes[state]);
  elementOf(page, 'finding').setAttribute('aria-busy', String(state === 'checking'));
}
